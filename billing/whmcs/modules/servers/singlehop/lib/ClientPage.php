<?php

namespace WHMCS\Module\Server\Singlehop;

use Doublehop\Billing\Problem;

/**
 * What the client sees: the username as the provider says it now, and daily bandwidth since the server became this
 * service's. Nothing in here names the provider, and nothing can be pressed.
 */
class ClientPage
{
    const TEMPLATE = 'templates/clientarea.tpl';
    const MOST_DAYS = 31;
    const BANDWIDTH_KEPT_SECONDS = 600;
    const DAY = 86400;

    /** @var array<string, mixed> */
    private $params;
    /** @var int */
    private $serviceId;
    /** @var Bindings */
    private $bindings;

    public function __construct(array $params)
    {
        $this->params = $params;
        $this->serviceId = (int) ($params['serviceid'] ?? 0);
        $this->bindings = new Bindings();
    }

    public static function failed(): array
    {
        return self::drawn(['message' => 'These details cannot be shown at the moment. Please try again later.']);
    }

    public function shown(): array
    {
        $row = $this->bindings->of($this->serviceId);
        $owner = (int) ($row['data']['client_id'] ?? 0);
        if ($row['server_id'] === '' || $owner <= 0 || $owner !== (int) ($this->params['userid'] ?? 0)) {
            return self::drawn(['message' => 'Your server is being prepared.']);
        }
        $seen = $this->read($row);
        $days = array_map([self::class, 'day'], array_reverse($seen['bandwidth'] ?? []));
        return self::drawn([
            'username' => (string) ($seen['username'] ?? $row['data']['username'] ?? ''),
            'asOf' => $seen['fresh'] ? '' : Fields::moment((int) ($seen['username_at'] ?? $row['data']['attached_at'])),
            'days' => $days,
            'bandwidthAsOf' => isset($seen['bandwidth_at']) ? Fields::moment((int) $seen['bandwidth_at']) : '',
            'totalIn' => self::size(array_sum(array_column($seen['bandwidth'] ?? [], 'in'))),
            'totalOut' => self::size(array_sum(array_column($seen['bandwidth'] ?? [], 'out'))),
        ]);
    }

    /** What is new where it can be had in time, else what was read last. */
    private function read(array $row): array
    {
        $seen = ['fresh' => false] + $row['seen'];
        try {
            $leap = Settings::leap($this->params, Settings::PAGE_SECONDS);
            $details = $leap->details($row['server_id']);
            if ($details['address'] !== $row['data']['address']) {
                return $seen;
            }
            $seen = ['username' => $details['username'], 'username_at' => time(), 'fresh' => true] + $seen;
            $seen['fresh'] = true;
            // The day of the attaching may hold what a client before this one used.
            $midnight = (intdiv((int) $row['data']['attached_at'], self::DAY) + 1) * self::DAY;
            $since = max($midnight, (intdiv(time(), self::DAY) - self::MOST_DAYS + 1) * self::DAY);
            $old = time() - (int) ($seen['bandwidth_at'] ?? 0) >= self::BANDWIDTH_KEPT_SECONDS;
            if ($old && $since <= time()) {
                $seen['bandwidth'] = $leap->bandwidth($row['server_id'], $since, time());
                $seen['bandwidth_at'] = time();
            }
        } catch (Problem $problem) {
            // It stands in the module log. The client reads the last known with its time.
        }
        $this->bindings->keepSeen($this->serviceId, array_diff_key($seen, ['fresh' => 0]));
        return $seen;
    }

    private static function drawn(array $vars): array
    {
        $all = ['message' => '', 'username' => '', 'asOf' => '', 'days' => [], 'bandwidthAsOf' => '', 'totalIn' => '', 'totalOut' => ''];
        return ['tabOverviewModuleOutputTemplate' => self::TEMPLATE, 'templateVariables' => $vars + $all];
    }

    private static function day(array $day): array
    {
        return [
            'date' => gmdate('Y-m-d', (int) $day['at']),
            'in' => self::size((int) $day['in']),
            'out' => self::size((int) $day['out']),
            'note' => empty($day['complete']) ? 'not complete' : '',
        ];
    }

    /** Decimal units: 1 GB is 1,000,000,000 octets. */
    private static function size(int $octets): string
    {
        foreach (['TB' => 1e12, 'GB' => 1e9, 'MB' => 1e6] as $unit => $factor) {
            if ($octets >= $factor) {
                return number_format($octets / $factor, 2) . " $unit";
            }
        }
        return number_format($octets / 1e3, 1) . ' kB';
    }
}
