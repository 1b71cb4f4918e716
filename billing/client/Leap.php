<?php

namespace Doublehop\Billing;

/**
 * The LEAP API of 2011. Trusts no shape: success came as true, 1 and "1", lists as maps, faults as text with status 200.
 *
 * Every request is a POST with the document as a form field, so that no login stands in an address.
 * Answers are arrays; a Problem is raised for everything else.
 */
class Leap
{
    const DEEPEST = 16;

    /** @var Http */
    private $http;
    /** @var array{user: string, password: string, key: string} */
    private $login;
    /** @var callable(string, mixed, mixed): void what was asked, what was sent, what came: both without secrets */
    private $log;
    /** @var Deadline */
    private $deadline;
    /** @var float */
    private $mostSeconds;

    /**
     * @param array{user: string, password: string, key: string} $login
     * @param float $mostSeconds of one call
     */
    public function __construct(Http $http, array $login, callable $log, Deadline $deadline, float $mostSeconds = 10.0)
    {
        $this->http = $http;
        $this->login = $login;
        $this->log = $log;
        $this->deadline = $deadline;
        $this->mostSeconds = $mostSeconds;
    }

    /** @return array<string, array<string, mixed>> every server of the account by its id */
    public function servers(): array
    {
        $answer = $this->ask('server', 'listServers');
        $found = [];
        foreach (self::entries($answer, 'servers') as $entry) {
            $id = self::text($entry, 'server_id', 'serverid', 'id');
            if ($id !== '') {
                $found[$id] = [
                    'id' => $id,
                    'hostname' => self::text($entry, 'server', 'hostname'),
                    'address' => self::text($entry, 'primaryip', 'publicip'),
                    'status' => self::text($entry, 'status'),
                    'suspended' => self::truth($entry['suspended'] ?? null) === true,
                ];
            }
        }
        return $found;
    }

    /** @return array<int, string> ids of the servers that the Tandem user may use. Raises Problem: LOGIN when there is none of that name */
    public function permitted(string $tandem): array
    {
        return self::texts($this->tandemUser($tandem)['servers'] ?? []);
    }

    public function tandemId(string $tandem): string
    {
        return self::text($this->tandemUser($tandem), 'id', 'userid');
    }

    /** @return array<string, mixed> */
    private function tandemUser(string $tandem): array
    {
        $wanted = strtolower(trim($tandem));
        $users = self::entries($this->ask('account', 'tandemList'), 'data');
        foreach (['email', 'name', 'id'] as $member) {
            $same = array_values(array_filter($users, static function (array $user) use ($member, $wanted): bool {
                return $wanted !== '' && strtolower(self::text($user, $member)) === $wanted;
            }));
            if (count($same) === 1) {
                return $same[0];
            }
        }
        throw new Problem(Problem::LOGIN, 'The LEAP account has no Tandem user of this name.');
    }

    /** @return array{hostname: string, address: string, username: string, suspended: bool, status: string} */
    public function details(string $id): array
    {
        $data = $this->ask('server', 'getServerDetails', ['serverid' => $id])['data'] ?? null;
        if (!is_array($data)) {
            throw new Problem(Problem::UNKNOWN, 'The answer holds no details of a server.');
        }
        return [
            'hostname' => self::text($data, 'hostname', 'server'),
            'address' => self::text($data, 'primaryip', 'publicip'),
            'username' => self::text($data, 'username'),
            'suspended' => self::truth($data['suspended'] ?? null) === true,
            'status' => self::text($data, 'status'),
        ];
    }

    /** @return array<int, string> the main one first */
    public function addresses(string $id): array
    {
        $answer = $this->ask('server', 'getServerIps', ['serverid' => $id]);
        $main = $others = [];
        foreach (self::list($answer['data'] ?? $answer['ips'] ?? null) as $one) {
            $address = is_array($one) ? self::text($one, 'ip', 'address') : self::text(['ip' => $one], 'ip');
            if (preg_match('#^[0-9a-f.:]{2,45}(/\d{1,3})?$#i', $address) === 1) {
                if (is_array($one) && self::truth($one['primary'] ?? null) === true) {
                    $main[] = $address;
                } else {
                    $others[] = $address;
                }
            }
        }
        return array_merge($main, $others);
    }

    /**
     * Daily figures from the Unix time `$since` on, oldest first. Figures whose unit is not octets are refused, not guessed.
     *
     * @return array<int, array{at: int, in: int, out: int, complete: bool}>
     */
    public function bandwidth(string $id, int $since, int $until): array
    {
        $data = ['serverid' => $id, 'start' => $since, 'end' => $until];
        $answer = $this->ask('server', 'getServerBandwidth', $data)['data'] ?? null;
        if (!is_array($answer) || self::text($answer, 'unit') !== 'octets') {
            throw new Problem(Problem::UNKNOWN, 'The figures come without a unit that is known.');
        }
        $found = [];
        foreach (self::list($answer['dailyusage'] ?? null) as $day) {
            if (is_array($day) && isset($day['timestamp'], $day['in'], $day['out']) && (int) $day['timestamp'] >= $since) {
                $at = (int) $day['timestamp'];
                $found[$at] = [
                    'at' => $at,
                    'in' => max(0, (int) $day['in']),
                    'out' => max(0, (int) $day['out']),
                    'complete' => self::truth($day['complete'] ?? true) !== false,
                ];
            }
        }
        ksort($found);
        return array_values($found);
    }

    /** Each returns the reference of the operation; empty where the other side gives none. */
    public function reboot(string $id): string
    {
        return $this->change('server', 'rebootServer', ['serverid' => $id]);
    }

    public function suspend(string $id, string $reason): string
    {
        return $this->change('server', 'suspendServer', ['serverid' => $id, 'reason' => $reason]);
    }

    public function unsuspend(string $id): string
    {
        return $this->change('server', 'unsuspendServer', ['serverid' => $id]);
    }

    public function permit(string $tandemId, string $id, bool $permitted): void
    {
        $command = $permitted ? 'tandemAddUserPermission' : 'tandemDeleteUserPermission';
        $this->change('account', $command, ['userid' => $tandemId, 'serverid' => $id]);
    }

    /** held, queued, running, done, failed, unknown or cancelled. */
    public function operation(string $reference): string
    {
        $data = $this->ask('server', 'getOperation', ['operation' => $reference])['data'] ?? null;
        return is_array($data) ? self::text($data, 'state') : '';
    }

    public function deadline(): Deadline
    {
        return $this->deadline;
    }

    /** @param array<string, mixed> $data */
    private function change(string $module, string $command, array $data): string
    {
        $answer = $this->ask($module, $command, $data);
        if (self::truth($answer['success'] ?? null) !== true && self::text($answer, 'result') !== 'ok') {
            throw new Problem(Problem::UNKNOWN, 'The answer does not say whether it succeeded.');
        }
        $reference = self::text($answer, 'operation');
        return preg_match('/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/', $reference) === 1 ? $reference : '';
    }

    /**
     * @param array<string, mixed> $data
     * @return array<int|string, mixed>
     */
    private function ask(string $module, string $command, array $data = []): array
    {
        $document = ['auth' => $this->login, 'module' => ['module' => $module, 'command' => $command]];
        if ($data) {
            $document['data'] = $data;
        }
        $sent = Masking::of($document);
        try {
            $text = json_encode($document, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);
            $seconds = min($this->mostSeconds, $this->deadline->left());
            [$status, $body] = $this->http->post(['request' => $text], $seconds);
            $content = self::content($status, $body);
        } catch (\JsonException $error) {
            throw new Problem(Problem::NOT_SENT, 'The settings hold signs that cannot be sent. Nothing was sent.');
        } catch (Problem $problem) {
            ($this->log)($command, $sent, ['error' => $problem->getMessage(), 'kind' => $problem->kind]);
            throw $problem;
        }
        ($this->log)($command, $sent, Masking::of($content));
        return $content;
    }

    /** @return array<int|string, mixed> */
    private static function content(int $status, string $body): array
    {
        if ($status === 401) {
            throw new Problem(Problem::LOGIN, 'Authentication Error');
        }
        if ($status === 429) {
            throw new Problem(Problem::NOT_SENT, 'The provider asks for patience. Nothing was done; try again in some minutes.');
        }
        $content = json_decode($body, true, self::DEEPEST);
        $said = is_array($content) ? self::complaint($content) : null;
        if ($said !== null) {
            throw self::refusal($said);
        }
        if ($status !== 200 || !is_array($content)) {
            throw new Problem(Problem::UNKNOWN, "The provider's answer cannot be understood (status $status).");
        }
        return $content;
    }

    /** @param array<int|string, mixed> $content */
    private static function complaint(array $content): ?string
    {
        $success = array_key_exists('success', $content) ? self::truth($content['success']) : null;
        $said = self::text($content, 'error', 'errors');
        if ($success === false || ($said !== '' && $success !== true)) {
            return $said !== '' ? $said : (self::text($content, 'message') ?: 'Refused, without a reason.');
        }
        return null;
    }

    private static function refusal(string $said): Problem
    {
        $said = mb_substr((string) preg_replace('/[^\P{C}]+/u', ' ', $said), 0, 300);
        if (stripos($said, 'No Such Command') !== false) {
            return new Problem(Problem::NO_COMMAND, $said);
        }
        $login = '/authenticat|unauthori[sz]ed|(invalid|incorrect|wrong|bad|unknown) (api ?)?(key|log-?in|credentials?|password|user)/i';
        return new Problem(preg_match($login, $said) === 1 ? Problem::LOGIN : Problem::REFUSED, $said);
    }

    /**
     * @param array<int|string, mixed> $answer
     * @return array<int, array<int|string, mixed>> the entries of a list, of a map, or of a bare array
     */
    private static function entries(array $answer, string $member): array
    {
        return array_values(array_filter(self::list($answer[$member] ?? $answer), 'is_array'));
    }

    /**
     * @param mixed $value
     * @return array<int, mixed>
     */
    private static function list($value): array
    {
        return is_array($value) ? array_values($value) : [];
    }

    /**
     * @param mixed $value
     * @return array<int, string>
     */
    private static function texts($value): array
    {
        $found = [];
        foreach (self::list($value) as $one) {
            $found[] = self::text(is_array($one) ? $one : ['id' => $one], 'id', 'serverid', 'server_id');
        }
        return array_values(array_filter($found, 'strlen'));
    }

    /** @param array<int|string, mixed> $entry */
    private static function text(array $entry, string ...$names): string
    {
        foreach ($names as $name) {
            $value = $entry[$name] ?? null;
            if (is_int($value) || (is_string($value) && trim($value) !== '')) {
                return mb_substr(trim((string) $value), 0, 300);
            }
        }
        return '';
    }

    /** @param mixed $value */
    private static function truth($value): ?bool
    {
        $plain = is_string($value) ? strtolower(trim($value)) : $value;
        if (in_array($plain, [true, 1, '1', 'true', 'yes', 'ok'], true)) {
            return true;
        }
        return in_array($plain, [false, 0, '0', 'false', 'no', '', null], true) ? false : null;
    }
}
