<?php

namespace WHMCS\Module\Server\Singlehop;

use Doublehop\Billing\Leap;
use Doublehop\Billing\Problem;

/**
 * What is done to the server of a service. Each returns 'success' or a text for staff, and is safe to be repeated: what is
 * under way is followed, never asked a second time.
 */
class Commands
{
    /** So long a command waits for its end before it says that there is none yet. */
    const WAIT_SECONDS = 8.0;
    const LOOK_EVERY_MICROSECONDS = 300000;
    /** What the provider has said nothing of for so long is not waited for any more. */
    const STALE_SECONDS = 86400;
    /** Our own is about a client of ours, and nobody else's business. */
    const REASON = 'Suspended by the billing system';
    const OPEN = ['', 'asked', 'held', 'queued', 'running'];
    /** The suspension is there, or may be in a moment. */
    const COMING = ['', 'asked', 'held', 'queued', 'running', 'done'];
    const NAMES = ['suspend' => 'suspension', 'unsuspend' => 'unsuspension', 'reboot' => 'reboot'];

    /** @var array<string, mixed> */
    private $params;
    /** @var Bindings */
    private $bindings;
    /** @var int */
    private $serviceId;
    /** @var string */
    private $serverId;
    /** @var array<string, mixed> */
    private $data;
    /** @var ?Leap */
    private $leap;

    public function __construct(array $params, Bindings $bindings)
    {
        $this->params = $params;
        $this->bindings = $bindings;
        $this->serviceId = (int) $params['serviceid'];
        $row = $bindings->of($this->serviceId);
        $this->serverId = $row['server_id'];
        $this->data = $row['data'];
    }

    /** The server is chosen by staff, so there is only something to confirm: WHMCS then sends the welcome mail. */
    public function create(): string
    {
        if ($this->serverId === '') {
            return 'No server is attached yet, and none is ordered by itself. Order it at your provider, permit it to the Tandem '
                . 'user, choose it in SingleHop Servers List, Save Changes, and press Create again.';
        }
        $this->sameMachine();
        return 'success';
    }

    public function suspend(): string
    {
        $details = $this->sameMachine();
        if ($this->isOpen('suspend')) {
            $ended = $this->follow();
            if ($ended !== '') {
                return $ended;
            }
        }
        try {
            $this->remember('suspend', $this->leap()->suspend($this->serverId, self::REASON), 'suspension');
        } catch (Problem $problem) {
            if ($problem->kind === Problem::NO_COMMAND) {
                return $this->withdraw();
            }
            $already = preg_match('/suspended already|already suspended/i', $problem->getMessage()) === 1;
            if ($problem->kind === Problem::REFUSED && $already && $details['suspended']) {
                return 'success';
            }
            throw $problem;
        }
        return $this->follow();
    }

    public function unsuspend(): string
    {
        if (($this->data['suspended_by'] ?? '') === 'permission') {
            return $this->giveBack();
        }
        $details = $this->sameMachine();
        if ($this->isOpen('unsuspend')) {
            $ended = $this->follow();
            if ($ended !== '') {
                return $ended;
            }
        }
        $asked = $this->isOpen('suspend');
        if ($asked) {
            $this->follow(0.0);
        }
        if (!$details['suspended'] && !($asked && in_array($this->data['operation']['state'], self::COMING, true))) {
            return 'success';
        }
        $this->remember('unsuspend', $this->leap()->unsuspend($this->serverId), '');
        return $this->follow();
    }

    /** Sent once. What became of it is read back; a lost answer is never followed by a second one. */
    public function reboot(): string
    {
        $this->sameMachine();
        if (!in_array($this->serverId, $this->leap()->permitted(Settings::tandem($this->params)), true)) {
            return 'The Tandem user has no permission on this server. Nothing was sent. Give it in LEAP: Tandem > Tandem Users > Add Server Permissions.';
        }
        try {
            $reference = $this->leap()->reboot($this->serverId);
        } catch (Problem $problem) {
            if ($problem->kind !== Problem::UNKNOWN) {
                throw $problem;
            }
            $this->data['operation'] = ['kind' => 'reboot', 'reference' => '', 'state' => 'unknown', 'at' => time()];
            $this->bindings->write($this->serviceId, $this->data);
            return $problem->getMessage() . ' It is not known whether the server was rebooted, and it is not sent again by itself. '
                . 'Look at the server before you press Reboot again.';
        }
        $this->remember('reboot', $reference);
        return $this->follow();
    }

    /** They stand in the service's own fields afterwards, and beside the list. */
    public function addresses(): string
    {
        $details = $this->sameMachine();
        $found = $this->leap()->addresses($this->serverId);
        if (!$found) {
            return 'The provider knows no address of this server.';
        }
        $seen = $this->bindings->of($this->serviceId)['seen'];
        $this->bindings->keepSeen($this->serviceId, ['addresses' => $found, 'addresses_at' => time()] + $seen);
        Fields::fill($this->serviceId, ['address' => $details['address'] ?: $found[0], 'addresses' => $found]);
        return 'success';
    }

    /** The mildest that a termination can be: the service lets go of its server. The machine stays as it is. */
    public function terminate(): string
    {
        if ($this->serverId === '') {
            return 'success';
        }
        $unsure = '';
        if ($this->isOpen('suspend') || $this->isOpen('unsuspend') || $this->isOpen('reboot')) {
            $this->follow(0.0);
            if (in_array($this->data['operation']['state'], self::OPEN, true)) {
                return $this->stillOpen() . ' The server is not let go of before that has ended.';
            }
            $unsure = $this->data['operation']['state'] === 'unknown' ? ' ' . $this->ended('unknown') : '';
        }
        $name = (string) ($this->data['hostname'] ?? '');
        $text = "Terminated: the service let go of $name. The machine was not touched, and is still yours at your provider: "
            . "cancel it there, or attach it to another service.$unsure";
        $this->bindings->release($this->serviceId, ['note' => $text, 'note_at' => time()]);
        Fields::note("Singlehop, service $this->serviceId: $text", (int) ($this->params['userid'] ?? 0));
        return 'success';
    }

    // ------------------------------------------------------------ before anything is sent

    private function leap(): Leap
    {
        if ($this->leap === null) {
            $this->leap = Settings::leap($this->params, Settings::COMMAND_SECONDS);
        }
        return $this->leap;
    }

    /**
     * The server's number must still name the machine with the address that was attached.
     *
     * @return array{hostname: string, address: string, username: string, suspended: bool, status: string}
     */
    private function sameMachine(): array
    {
        if ($this->serverId === '') {
            throw new Problem(Problem::NOT_SENT, 'No server is attached to this service. Nothing was sent. Choose one in SingleHop Servers List');
        }
        try {
            $details = $this->leap()->details($this->serverId);
        } catch (Problem $problem) {
            if ($problem->kind === Problem::UNKNOWN) {
                throw new Problem(Problem::NOT_SENT, $problem->getMessage() . ' Nothing was sent');
            }
            throw $problem;
        }
        $recorded = (string) ($this->data['address'] ?? '');
        if ($details['address'] !== $recorded) {
            $text = "Stopped: the server was attached with the address $recorded, and now has {$details['address']}. It may be "
                . 'another machine. Nothing was sent. If it is the right one, choose none, Save Changes, choose it again, and Save Changes';
            throw new Problem(Problem::NOT_SENT, $text);
        }
        return $details;
    }

    // ------------------------------------------------------------ what is under way

    private function remember(string $kind, string $reference, ?string $suspendedBy = null): void
    {
        $state = $reference !== '' ? 'asked' : 'done';
        $this->data['operation'] = ['kind' => $kind, 'reference' => $reference, 'state' => $state, 'at' => time()];
        if ($suspendedBy !== null) {
            $this->data['suspended_by'] = $suspendedBy;
        }
        $this->bindings->write($this->serviceId, $this->data);
    }

    private function isOpen(string $kind): bool
    {
        $operation = $this->data['operation'] ?? [];
        return ($operation['kind'] ?? '') === $kind && in_array($operation['state'] ?? 'none', self::OPEN, true);
    }

    /** 'success', a text, or, where what was asked earlier has failed or is known no longer, and may be asked anew, ''. */
    private function follow(float $seconds = self::WAIT_SECONDS): string
    {
        $asked = $this->data['operation'];
        $fresh = time() - $asked['at'] < 3;
        $until = microtime(true) + $seconds;
        $state = $asked['state'];
        $isStale = time() - $asked['at'] > self::STALE_SECONDS;
        $isLost = false;
        while (in_array($state, self::OPEN, true) && $asked['reference'] !== '') {
            try {
                $state = $this->leap()->operation($asked['reference']);
            } catch (Problem $problem) {
                // The provider answered, and knows no such operation.
                $isLost = $isStale || in_array($problem->kind, [Problem::REFUSED, Problem::NO_COMMAND], true);
                break;
            }
            // Without a word of its state for a day; one that is said to be under way or held is waited for.
            $isLost = $isStale && $state === '';
            if ($isLost || !in_array($state, self::OPEN, true) || $state === 'held' || microtime(true) >= $until) {
                break;
            }
            usleep(self::LOOK_EVERY_MICROSECONDS);
        }
        $state = $isLost ? 'unknown' : $state;
        $this->data['operation']['state'] = $state;
        $this->bindings->write($this->serviceId, $this->data);
        if ($state === 'done') {
            return 'success';
        }
        if (in_array($state, self::OPEN, true)) {
            return $this->stillOpen();
        }
        if (!$fresh && ($isLost || in_array($state, ['failed', 'cancelled'], true))) {
            return '';
        }
        return $this->ended($state);
    }

    private function stillOpen(): string
    {
        $operation = $this->data['operation'];
        $name = self::NAMES[$operation['kind']];
        if ($operation['state'] === 'held') {
            return "The $name is held at your provider until a person there or here approves it (operation {$operation['reference']}). Nothing was done yet.";
        }
        return "The $name was accepted (operation {$operation['reference']}) and is not confirmed yet. It need not be asked again: "
            . 'asking again only looks how it ended.';
    }

    private function ended(string $state): string
    {
        $operation = $this->data['operation'];
        $name = self::NAMES[$operation['kind']];
        if ($state === 'unknown') {
            return "It is not known whether the $name happened (operation {$operation['reference']}). Your provider's panel shows it; a person decides there.";
        }
        return "The $name ended as $state (operation {$operation['reference']}). Your provider's panel says why.";
    }

    // ------------------------------------------------------------ where the provider cannot suspend

    private function withdraw(): string
    {
        $leap = $this->leap();
        $tandem = Settings::tandem($this->params);
        $leap->permit($leap->tandemId($tandem), $this->serverId, false);
        if (in_array($this->serverId, $leap->permitted($tandem), true)) {
            return 'The provider cannot suspend, and the permission of the Tandem user could not be taken away. Nothing has changed.';
        }
        $this->remember('suspend', '', 'permission');
        $text = 'the provider cannot suspend; the permission of the Tandem user was taken away instead. THE MACHINE STAYS ONLINE.';
        Fields::note("Singlehop, service $this->serviceId: $text", (int) ($this->params['userid'] ?? 0));
        return 'success';
    }

    private function giveBack(): string
    {
        $this->sameMachine();
        $leap = $this->leap();
        $tandem = Settings::tandem($this->params);
        $leap->permit($leap->tandemId($tandem), $this->serverId, true);
        if (!in_array($this->serverId, $leap->permitted($tandem), true)) {
            return 'The permission of the Tandem user was given back, but is not there when it is read. Give it in LEAP: Tandem > Tandem Users.';
        }
        $this->remember('unsuspend', '', '');
        return 'success';
    }
}
