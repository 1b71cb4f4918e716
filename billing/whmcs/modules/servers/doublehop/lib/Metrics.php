<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;
use WHMCS\UsageBilling\Contracts\Metrics\MetricInterface;
use WHMCS\UsageBilling\Contracts\Metrics\ProviderInterface;
use WHMCS\UsageBilling\Metrics\Metric;
use WHMCS\UsageBilling\Metrics\Units\FloatingPoint;
use WHMCS\UsageBilling\Metrics\Units\GigaBytes;
use WHMCS\UsageBilling\Metrics\Usage as Used;

/** Traffic as metrics of WHMCS's usage billing: only for products whose settings say so. Each poll replaces the month's figure. */
class Metrics implements ProviderInterface
{
    /** @var array<string, mixed> */
    private $params;

    /** @param array<string, mixed> $params */
    public function __construct($params)
    {
        $this->params = (array) $params;
    }

    /** @return array<int, MetricInterface> the same for every product, and without asking anybody */
    public function metrics()
    {
        $month = MetricInterface::TYPE_PERIOD_MONTH;
        return [
            new Metric('traffic_in', 'Traffic in', $month, new GigaBytes()),
            new Metric('traffic_out', 'Traffic out', $month, new GigaBytes()),
            new Metric('traffic_total', 'Traffic in and out', $month, new GigaBytes()),
            new Metric('percentile_95', '95th percentile (Mbit/s)', $month, new FloatingPoint('Mbit/s')),
        ];
    }

    /** @return array<string, array<int, MetricInterface>> by the number in the service's field */
    public function usage()
    {
        $numbers = $this->numbers();
        $figures = $numbers ? $this->figures(Settings::BULK_SECONDS) : null;
        if ($figures === null) {
            return [];
        }
        $found = $blank = [];
        foreach (array_intersect_key($figures, $numbers) as $service => $usage) {
            if ($numbers[$service] === '') {
                $blank[] = $service;
            }
            $found[$numbers[$service] ?: (string) ($usage['number'] ?? '')] = $this->used($usage);
        }
        if ($blank) {
            Fields::note('Doublehop: the field "' . Settings::NUMBER_FIELD . '", by which WHMCS finds whose metrics they are, is empty at '
                . 'services ' . implode(', ', $blank) . '. Press Refresh there.');
        }
        $absent = count($numbers) - count($found);
        if ($absent > 0) {
            Fields::note("Doublehop: metrics of $absent services are not known to the panel. Their figures stay as they were.");
        }
        return $found;
    }

    /**
     * @param mixed $tenant
     * @return array<int, MetricInterface>
     */
    public function tenantUsage($tenant)
    {
        $service = (string) $tenant !== '' ? array_search((string) $tenant, $this->numbers(), true) : false;
        $usage = $service === false ? null : ($this->figures(Settings::PAGE_SECONDS) ?? [])[$service] ?? null;
        return $usage === null ? $this->metrics() : $this->used($usage);
    }

    /** @return array<int, string> number at the panel by service, of those whose product is billed by metrics */
    private function numbers(): array
    {
        return Usage::services(new Store(), (int) ($this->params['serverid'] ?? 0), Settings::USAGE_METRICS);
    }

    /** @return ?array<int, array<string, mixed>> null where they could not be read, which stands in the activity log */
    private function figures(float $seconds): ?array
    {
        try {
            return Usage::figures($this->params, $seconds);
        } catch (Problem $problem) {
            Fields::note('Doublehop: metrics were not read. ' . Guarded::told($problem, $this->params));
            return null;
        }
    }

    /**
     * @param array<string, mixed> $usage
     * @return array<int, MetricInterface>
     */
    private function used(array $usage): array
    {
        $values = [
            'traffic_in' => Figures::gigabytes($usage['octets_in'] ?? 0),
            'traffic_out' => Figures::gigabytes($usage['octets_out'] ?? 0),
            'traffic_total' => Figures::gigabytes($usage['octets_total'] ?? 0),
            // Of totals by the day there is none, which is not zero.
            'percentile_95' => isset($usage['percentile_95_bps']) ? Figures::megabits($usage['percentile_95_bps']) : null,
        ];
        $found = [];
        foreach ($this->metrics() as $metric) {
            $value = $values[$metric->systemName()];
            if ($value !== null) {
                $found[] = $metric->withUsage(new Used($value));
            }
        }
        return $found;
    }
}
