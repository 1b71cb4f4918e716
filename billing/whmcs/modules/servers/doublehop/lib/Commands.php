<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/**
 * What is done for a service. Each returns 'success' or a text for staff, and is safe to be repeated: what is under way is
 * followed, never asked a second time.
 */
class Commands
{
    /** Functions of clients, with the operation of each. */
    public const OF_CLIENTS = ['ClientReboot' => 'reboot', 'ClientPowerOn' => 'power_on', 'ClientPowerOff' => 'power_off'];
    /** So long an order that is filled from a pool is waited for. */
    private const POOL_SECONDS = 6.0;
    private const LOOK_EVERY_MICROSECONDS = 300000;

    /** @var array<string, mixed> */
    private $params;
    /** @var Panel */
    private $panel;
    /** @var Asking */
    private $asking;

    /** @param array<string, mixed> $params */
    public function __construct(array $params)
    {
        $this->params = $params;
        $this->panel = new Panel($params, Settings::COMMAND_SECONDS);
        $this->asking = new Asking($this->panel);
    }

    /** WHMCS sets the service active and sends the welcome mail on success: so there is none before it is delivered. */
    public function create(): string
    {
        $service = (new Ordering($this->params, $this->panel, $this->asking))->ordered();
        if ($service['status'] === 'pending' && $this->isFilledFromAPool($service)) {
            $service = $this->waited($service);
        }
        $number = $service['number'];
        if ($service['status'] === 'pending') {
            $why = trim((string) ($service['waits_because'] ?? ''));
            return "Ordered as service $number, and it waits for a server." . ($why !== '' ? ' ' . self::ended($why) : '')
                . ' Choose one in Servers List and Save Changes, or fill the pool; then press Create again. Nothing was delivered yet.';
        }
        if ($service['status'] === 'suspended') {
            return "Service $number is suspended. Press Unsuspend.";
        }
        if ($service['status'] !== 'active') {
            return "Service $number is {$service['status']} in the panel. It has no way back: place a new order.";
        }
        foreach (['primary_address' => 'address', 'username' => 'username'] as $field => $name) {
            if (trim((string) ($service[$field] ?? '')) === '') {
                return "Service $number has its server, but its $name is not known yet. Press Refresh, or type it in the panel; "
                    . 'then press Create again. Nobody was told yet.';
            }
        }
        $this->panel->fillFields($service);
        $open = (new Options($this->params, $this->panel->store))->open();
        return $open === '' ? 'success' : "Service $number has its server. Sold with it, and for a person to deliver: $open. See to it, then "
            . 'press Create again. Nobody was told yet.';
    }

    public function suspend(): string
    {
        $service = $this->panel->bound();
        $reason = Settings::text($this->params, 'suspendreason');
        $body = [
            'reason' => Asking::by(mb_substr($reason !== '' ? $reason : 'Suspended by the billing system', 0, 250)),
            'client_text' => Settings::note($this->params),
        ];
        try {
            $operation = $this->asking->operation($service, 'suspend', $body);
        } catch (Problem $problem) {
            if ($problem->told === 'already_suspended' && $this->panel->bound()['status'] === 'suspended') {
                return 'success';
            }
            throw $problem;
        }
        if ($operation['state'] === 'done' && trim((string) $operation['sentence']) !== '') {
            // A policy may only give notice: then this says that the machine stays online.
            $this->note("suspension {$operation['reference']}: {$operation['sentence']}");
        }
        return $this->told($operation);
    }

    public function unsuspend(): string
    {
        $service = $this->panel->bound();
        try {
            $why = ['reason' => Asking::by('Unsuspended by the billing system')];
            $said = $this->told($this->asking->operation($service, 'unsuspend', $why));
        } catch (Problem $problem) {
            if ($problem->told !== 'not_suspended' || $this->panel->bound()['status'] !== 'active') {
                throw $problem;
            }
            return 'success';
        }
        if ($said !== 'success') {
            return $said;
        }
        try {
            $status = $this->panel->bound()['status'];
        } catch (Problem $problem) {
            return 'Your own suspension was lifted. Whether a level above has suspended the service too could not be read: press Unsuspend '
                . 'again.';
        }
        return $status !== 'suspended' ? 'success' : 'Your own suspension was lifted. The service stays suspended: a level above has '
            . 'suspended it too, and only that one can lift it.';
    }

    public function terminate(): string
    {
        $service = $this->panel->bound();
        $number = $service['number'];
        if (in_array($service['status'], ['terminated', 'cancelled', 'fraud'], true)) {
            return 'success';
        }
        $mode = Settings::termination($this->params);
        if ($mode === Settings::BY_HAND) {
            return "Nothing was done, as the product's settings say. End service $number in the panel, then press Terminate again.";
        }
        $reason = Asking::by('Terminated by the billing system');
        if ($service['status'] === 'pending') {
            $path = '/services/' . (int) $service['id'] . '/cancel';
            $this->asking->once('POST', $path, 'cancel', ['reason' => $reason]);
            return 'success';
        }
        $operation = $this->asking->operation($service, 'terminate', ['reason' => $reason, 'mode' => $mode]);
        $said = $this->told($operation);
        if ($said === 'success') {
            $sentence = trim((string) ($operation['sentence'] ?? ''));
            $this->note("terminated: service $number let go of its server. " . ($sentence !== '' ? $sentence : 'It stays yours.'));
        }
        return $said;
    }

    /**
     * The service is deleted here. Its number may come again for another order, so that one must not find what is ended: the
     * panel keeps the number with a word more.
     */
    public function gone(): string
    {
        $service = $this->panel->service();
        if ($service === null) {
            return 'success';
        }
        $said = $this->terminate();
        if ($said === 'success') {
            $path = '/services/' . (int) $service['id'];
            $reference = "{$this->panel->serviceId} deleted {$service['number']}";
            $gone = ['billing_reference' => $reference, 'reason' => Asking::by('Deleted in the billing system')];
            $this->asking->once('PATCH', $path, 'gone', $gone);
        }
        return $said;
    }

    /** Price, contract and allowance are those of the other product. The machine stays what it is. */
    public function changePackage(): string
    {
        $product = Settings::product($this->params);
        $service = $this->panel->bound();
        if ((int) $service['product_id'] !== $product) {
            $path = '/services/' . (int) $service['id'];
            $change = ['product_id' => $product, 'reason' => Asking::by('Changed in the billing system')];
            $service = $this->panel->known($this->asking->once('PATCH', $path, 'change', $change));
            if ((int) $service['product_id'] !== $product) {
                throw new Problem(Problem::UNKNOWN, "The panel answered, and service {$service['number']} has another product.");
            }
            $this->note("product changed in the panel. The server stays the same: another one is chosen in Servers List.");
        }
        // The number's field is of the product: the other product's is empty yet.
        $this->panel->fillFields($service);
        $open = (new Options($this->params, $this->panel->store))->open();
        return $open === '' ? 'success' : "Sold, and for a person to deliver: $open. Nothing was done at the server. See to it, then press "
            . 'Change Package again.';
    }

    public function reboot(): string
    {
        return $this->power('reboot');
    }

    public function powerOn(): string
    {
        return $this->power('power_on');
    }

    public function powerOff(): string
    {
        return $this->power('power_off');
    }

    /** Sent once. What became of it is read back; a lost answer is never followed by a second one. */
    private function power(string $kind): string
    {
        return $this->told($this->asking->operation($this->panel->bound(), $kind, ['reason' => Asking::by('Asked from the billing system')]));
    }

    /** @return array<string, mixed> the operation. Raises Problem. */
    public function ofClient(string $kind): array
    {
        $service = $this->panel->bound();
        if (!$this->panel->isOfTheClient($service)) {
            throw new Problem(Problem::NOT_SENT, 'The service is of another client in the panel. Nothing was sent.');
        }
        return $this->asking->operation($service, $kind, ['reason' => 'Asked by the client in WHMCS']);
    }

    /** They stand in the service's own fields afterwards. */
    public function addresses(): string
    {
        $service = $this->panel->bound();
        $found = $this->addressesOf($service);
        if (!$found) {
            return 'The panel knows no address of this server.';
        }
        $main = (string) ($service['primary_address'] ?? '') ?: $found[0];
        Fields::fill($this->panel->serviceId, ['address' => $main, 'addresses' => $found]);
        return 'success';
    }

    /** Has the machine's addresses read anew, and fills in everything that is known. */
    public function refresh(): string
    {
        $service = $this->panel->service() ?? (new Ordering($this->params, $this->panel, $this->asking))->takenOver()
            ?? $this->panel->bound();
        $said = 'success';
        if ($service['server_id'] !== null) {
            try {
                $said = $this->told($this->asking->operation($service, 'refresh_addresses'));
            } catch (Problem $problem) {
                if ($problem->kind !== Problem::REFUSED) {
                    throw $problem;
                }
                $said = $problem->getMessage();
            }
            try {
                $service = $this->panel->bound();
                $found = ['addresses' => $this->addressesOf($service)] + Panel::fieldsOf($service);
            } catch (Problem $problem) {
                return 'The panel was asked to read the machine anew. What it knows now could not be fetched: press Refresh again.';
            }
            Fields::fill($this->panel->serviceId, $found);
        }
        $this->panel->fillFields($service);
        return $said === 'success' ? 'success' : 'The fields were filled in with what is known. ' . $said;
    }

    /**
     * @param array<string, mixed> $service
     * @return array<int, string> the main one first
     */
    private function addressesOf(array $service): array
    {
        if (($service['server_id'] ?? null) === null) {
            throw new Problem(Problem::NOT_SENT, 'No server is attached to this service. Choose one in Servers List.');
        }
        $main = $others = [];
        foreach ($this->panel->rest()->get('/servers/' . (int) $service['server_id'] . '/addresses') as $one) {
            if (is_array($one) && is_string($one['address'] ?? null)) {
                empty($one['primary']) ? $others[] = $one['address'] : $main[] = $one['address'];
            }
        }
        return array_merge($main, $others);
    }

    /** @param array<string, mixed> $service */
    private function isFilledFromAPool(array $service): bool
    {
        $product = $this->panel->rest()->get('/products/' . (int) $service['product_id']);
        return ($product['server_group_id'] ?? null) !== null;
    }

    /**
     * @param array<string, mixed> $service
     * @return array<string, mixed>
     */
    private function waited(array $service): array
    {
        $until = microtime(true) + self::POOL_SECONDS;
        while ($service['status'] === 'pending' && microtime(true) < $until) {
            usleep(self::LOOK_EVERY_MICROSECONDS);
            $service = $this->panel->bound();
        }
        return $service;
    }

    /** @param array<string, mixed> $operation */
    private function told(array $operation): string
    {
        $name = Fields::words((string) $operation['kind']);
        $reference = (string) $operation['reference'];
        $sentence = trim((string) ($operation['sentence'] ?? ''));
        $more = $sentence !== '' ? ' ' . self::ended($sentence) : '';
        switch ($operation['state']) {
            case 'done':
                return 'success';
            case 'queued':
            case 'running':
                return "$name was accepted (operation $reference) and is not confirmed yet. It need not be asked again: asking "
                    . 'again only looks how it ended.';
            case 'held':
                return "$name is held until a person approves it in the panel (operation $reference). Nothing was done yet.$more";
            case 'unknown':
                return "It is not known whether this happened: $name (operation $reference). A person decides in the panel.$more";
            default:
                return "$name ended as {$operation['state']} (operation $reference).$more";
        }
    }

    private static function ended(string $text): string
    {
        return rtrim($text, ' .') . '.';
    }

    private function note(string $text): void
    {
        $client = (int) ($this->params['userid'] ?? 0);
        Fields::note("Doublehop, service {$this->panel->serviceId}: $text", $client);
    }
}
