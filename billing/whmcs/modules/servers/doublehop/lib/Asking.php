<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/**
 * Asks for a deed under a key that is kept until it is known what came of it. So a press that got no answer, a retry of the
 * cron and two clicks at once are one deed, and what is asked again later is a new one.
 */
class Asking
{
    /** So long a command waits for its end before it says that there is none yet. */
    private const WAIT_SECONDS = 8.0;
    /** So long the panel is asked to wait with its answer. */
    private const WAIT_THERE = 3;
    private const LOOK_EVERY_MICROSECONDS = 250000;
    /** A second press within so many seconds after the first has ended is the same press. */
    private const SAME_PRESS_SECONDS = 3;
    /** A lost answer is not asked after any more. */
    private const STALE_SECONDS = 900;
    private const OPEN = ['queued', 'running'];
    /** What is done once, and is not a state that could be looked at. */
    private const ONCE = ['reboot', 'power_on', 'power_off'];

    /** @var Panel */
    private $panel;

    public function __construct(Panel $panel)
    {
        $this->panel = $panel;
    }

    /** The panel's journal names the token; who pressed in WHMCS stands beside it. */
    public static function by(string $reason): string
    {
        $admin = self::admin();
        return $admin > 0 ? "$reason (admin $admin of WHMCS)" : $reason;
    }

    /** Number of the member of staff who is at work; 0: the cron, a client, or a program. */
    public static function admin(): int
    {
        return (int) ($_SESSION['adminid'] ?? 0);
    }

    /**
     * A deed that is answered at once, with the service or client as it is then.
     *
     * @param array<string, mixed> $body `reason`: for the panel's journal; who gives another one asks for the same thing
     * @return array<int|string, mixed>
     */
    public function once(string $method, string $path, string $deed, array $body): array
    {
        [$key, , $body] = $this->key($deed, $body);
        try {
            $answer = $method === 'PATCH'
                ? $this->panel->rest()->patch($path, $body, $key) : $this->panel->rest()->post($path, $body, $key);
        } catch (Problem $problem) {
            $this->forgetIfCertain($problem, $key);
            throw $problem;
        }
        if (!is_int($answer['id'] ?? null)) {
            // Something in between may have answered in the panel's place: the key is kept.
            throw new Problem(Problem::UNKNOWN, "The provider's answer is not that of a service or client.");
        }
        $this->panel->store->forgetAsked($this->panel->serviceId, $key);
        return $answer;
    }

    /**
     * @param array<string, mixed> $service at the panel
     * @param array<string, mixed> $more of the request
     * @return array<string, mixed> the operation as it was seen last
     */
    public function operation(array $service, string $kind, array $more = []): array
    {
        $body = ['kind' => $kind] + $more;
        $store = $this->panel->store;
        $mine = $this->panel->serviceId;
        if (in_array($kind, self::ONCE, true)) {
            $store->forgetSettled($mine, array_diff(self::ONCE, [$kind]));
        }
        do {
            [$key, $isNew, $sent] = $this->key($kind, $body);
            try {
                $path = '/services/' . (int) $service['id'] . '/operations';
                $operation = $this->panel->rest()->post($path, $sent, $key, self::WAIT_THERE);
            } catch (Problem $problem) {
                $this->forgetIfCertain($problem, $key);
                $operation = $problem->told === 'already_open' ? $this->openOne($kind) : null;
                if ($operation === null) {
                    throw $problem;
                }
            }
            if (!self::isOperation($operation)) {
                // Something in between may have answered in the panel's place: the key is kept.
                throw new Problem(Problem::UNKNOWN, "The provider's answer is not that of an operation.");
            }
            $operation = $this->followed($operation);
            $settled = !in_array($operation['state'] ?? '', self::OPEN, true) && $operation['state'] !== 'held';
            $store->remember($mine, $key, (string) ($operation['reference'] ?? ''), $settled);
            // What ended before this press says nothing of now, where it is a state that is asked for.
            $again = $settled && !$isNew && !in_array($kind, self::ONCE, true);
            if ($again) {
                $store->forgetAsked($mine, $key);
            }
        } while ($again);
        $store->write($mine, ['operation' => $operation]);
        return $operation;
    }

    /** @return ?array<string, mixed> what is under way already, where it is the same thing */
    private function openOne(string $kind): ?array
    {
        $open = $this->panel->bound()['open_operation'] ?? null;
        return is_array($open) && ($open['kind'] ?? '') === $kind ? $open : null;
    }

    /**
     * @param array<string, mixed> $operation
     * @return array<string, mixed>
     */
    private function followed(array $operation): array
    {
        $until = microtime(true) + self::WAIT_SECONDS;
        while (in_array($operation['state'] ?? '', self::OPEN, true) && microtime(true) < $until) {
            $begin = microtime(true);
            try {
                $path = '/operations/' . rawurlencode((string) $operation['reference']);
                $seen = $this->panel->rest()->get($path, [], self::WAIT_THERE);
            } catch (Problem $problem) {
                break; // it was accepted; how it ends is seen at the next look
            }
            if (!self::isOperation($seen)) {
                break;
            }
            $operation = $seen;
            $took = (int) (1e6 * (microtime(true) - $begin));
            if (in_array($operation['state'] ?? '', self::OPEN, true) && $took < self::LOOK_EVERY_MICROSECONDS) {
                usleep(self::LOOK_EVERY_MICROSECONDS - $took);
            }
        }
        return $operation;
    }

    /** @param array<int|string, mixed> $answer */
    private static function isOperation(array $answer): bool
    {
        foreach (['reference', 'kind', 'state'] as $name) {
            if (!is_string($answer[$name] ?? null) || $answer[$name] === '') {
                return false;
            }
        }
        return true;
    }

    /**
     * @param array<string, mixed> $body
     * @return array{0: string, 1: bool, 2: array<string, mixed>} the key, whether this press began it, and what is sent under it
     */
    private function key(string $deed, array $body): array
    {
        $store = $this->panel->store;
        $mine = $this->panel->serviceId;
        $text = (string) json_encode($body);
        while (true) {
            $row = $store->asked($mine, $deed);
            $before = $row !== null ? (array) json_decode($row['body'], true) : [];
            if ($row !== null && self::asked($before) === self::asked($body) && $this->isSame($row, $deed)) {
                return [$row['asked_key'], $row['settled_at'] > 0, $before];
            }
            $key = "whmcs-$mine-$deed-" . bin2hex(random_bytes(8));
            if ($store->ask($mine, $deed, $row['asked_key'] ?? '', $key, $text)) {
                return [$key, true, $body];
            }
            // Somebody else pressed at the same moment: it is one press.
        }
    }

    /**
     * @param array<string, mixed> $body
     * @return array<string, mixed> without who asked, and why
     */
    private static function asked(array $body): array
    {
        return array_diff_key($body, ['reason' => 0]);
    }

    /** @param array{asked_key: string, body: string, operation: string, asked_at: int, settled_at: int} $row */
    private function isSame(array $row, string $deed): bool
    {
        if ($row['settled_at'] > 0) {
            return in_array($deed, self::ONCE, true) && time() - $row['settled_at'] <= self::SAME_PRESS_SECONDS;
        }
        return time() - $row['asked_at'] <= self::STALE_SECONDS;
    }

    /** Where it may have been carried out, the same key is sent again; where it certainly was not, it is done with. */
    private function forgetIfCertain(Problem $problem, string $key): void
    {
        if (in_array($problem->kind, [Problem::REFUSED, Problem::COPY, Problem::NOT_SENT], true)) {
            $this->panel->store->forgetAsked($this->panel->serviceId, $key);
        }
    }
}
