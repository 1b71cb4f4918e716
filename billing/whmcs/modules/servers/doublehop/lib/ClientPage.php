<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;
use Doublehop\Billing\Rest;

/**
 * What the client sees: state, username, addresses and bandwidth as the panel says them now, else as they were read last,
 * with the time. Asks only; what a client may do is a form that is sent and confirmed.
 */
class ClientPage
{
    private const TEMPLATE = 'templates/clientarea.tpl';
    /** Without its ending: WHMCS puts that to pages of custom functions. */
    private const UNDER_WAY = 'templates/underway';
    private const DAYS = 30;
    private const DAY = 86400;
    private const TOLD_AGAIN_SECONDS = 600;
    private const STATES = [
        'pending' => 'being prepared', 'active' => 'active', 'suspended' => 'suspended', 'terminated' => 'ended',
        'cancelled' => 'ended', 'fraud' => 'ended',
    ];
    private const BUTTONS = [
        'ClientReboot' => ['reboot', 'Reboot', 'Everything that runs on it is ended and started anew.'],
        'ClientPowerOn' => ['power_on', 'Power on', 'The server is switched on.'],
        'ClientPowerOff' => ['power_off', 'Power off', 'The server is switched off, and stays off until it is switched on.'],
    ];

    /** @var array<string, mixed> */
    private $params;
    /** @var Panel */
    private $panel;

    /** @param array<string, mixed> $params */
    public function __construct(array $params)
    {
        $this->params = $params;
        $this->panel = new Panel($params, Settings::PAGE_SECONDS);
    }

    /** @return array<string, mixed> */
    public static function failed(): array
    {
        return self::drawn(['message' => 'These details cannot be shown at the moment. Please try again later.']);
    }

    /** @return array<string, mixed> a page of a custom function */
    public static function underWay(int $serviceId, string $reference): array
    {
        return [
            'templatefile' => self::UNDER_WAY,
            'breadcrumb' => ["clientarea.php?action=productdetails&id=$serviceId" => 'Under way'],
            'vars' => ['reference' => $reference, 'serviceNumber' => $serviceId],
        ];
    }

    /** @return array<string, mixed> */
    public function shown(): array
    {
        try {
            $seen = $this->read();
        } catch (Problem $problem) {
            return $this->fromMemory($problem);
        }
        if ($seen === null) {
            return self::drawn(['message' => 'Your server is being prepared.']);
        }
        $this->panel->store->keepSeen($this->panel->serviceId, $seen);
        return $this->page($seen, '');
    }

    /** @return ?array<string, mixed> null where there is nothing to show yet */
    private function read(): ?array
    {
        $mine = Rest::at('/services', ['billing_reference' => (string) $this->panel->serviceId, 'limit' => 2]);
        $kept = $this->panel->store->of($this->panel->serviceId)['data'];
        $known = (int) ($kept['service'] ?? 0);
        $got = $this->panel->rest()->getAll($known > 0 ? ["mine" => "/services/$known"] + $this->about($known, $kept) : ['mine' => $mine]);
        if ($got['mine'] instanceof Problem) {
            throw $got['mine'];
        }
        $service = $known > 0 ? $got['mine'] : ($got['mine']['items'][0] ?? null);
        if ($service === null) {
            return null;
        }
        $service = $this->panel->known($service);
        if (!$this->panel->isOfTheClient($service)) {
            return null;
        }
        $server = $service['server_id'] ?? null;
        if ($server !== ($kept['server'] ?? null)) {
            $this->panel->store->write($this->panel->serviceId, ['server' => $server, 'label' => Panel::label($service)]);
        }
        if ($known <= 0 || $server !== ($kept['server'] ?? null)) {
            $got = $this->panel->rest()->getAll($this->about((int) $service['id'], ['server' => $server]));
            $service = $known > 0 ? $service : $this->panel->rest()->get('/services/' . (int) $service['id']);
        }
        return $this->figures($service, $got);
    }

    /**
     * @param array<string, mixed> $kept
     * @return array<string, string>
     */
    private function about(int $service, array $kept): array
    {
        $today = intdiv(time(), self::DAY) * self::DAY;
        $span = [
            'start' => gmdate('Y-m-d\TH:i:s\Z', $today - (self::DAYS - 1) * self::DAY),
            'end' => gmdate('Y-m-d\TH:i:s\Z', $today + self::DAY),
            'step' => '1d',
        ];
        $paths = ['bandwidth' => Rest::at("/services/$service/bandwidth", $span), 'usage' => "/services/$service/usage"];
        if (isset($kept['server'])) {
            $paths['addresses'] = '/servers/' . (int) $kept['server'] . '/addresses';
        }
        return $paths;
    }

    /**
     * Only what a client may read is taken over.
     *
     * @param array<string, mixed> $service
     * @param array<string, mixed> $got
     * @return array<string, mixed>
     */
    private function figures(array $service, array $got): array
    {
        $open = $service['open_operation'] ?? null;
        // What staff have not approved yet is not under way, and may never be; nor is what nobody knows the outcome of.
        $open = is_array($open) && in_array($open['state'] ?? '', ['queued', 'running'], true) ? $open : null;
        $seen = Panel::fieldsOf($service) + [
            'at' => time(),
            'userid' => (int) ($this->params['userid'] ?? 0),
            'status' => (string) $service['status'],
            'why' => (string) ($service['suspended_because'] ?? ''),
            'power' => (string) ($service['power_state'] ?? ''),
            'power_at' => Fields::time($service['power_read_at'] ?? null),
            'actions' => array_values(array_filter((array) ($service['actions'] ?? []), 'is_string')),
            'open' => $open !== null ? Fields::words((string) ($open['kind'] ?? '')) : '',
            'addresses' => [],
            'days' => [],
        ];
        // Without the reverse DNS: a name that nobody set here is the one that the place where it stands gave it.
        foreach (is_array($got['addresses'] ?? null) ? $got['addresses'] : [] as $one) {
            if (is_array($one) && is_string($one['address'] ?? null)) {
                $seen['addresses'][] = ['address' => $one['address']];
            }
        }
        $bandwidth = $got['bandwidth'] ?? null;
        foreach (is_array($bandwidth) && is_array($bandwidth['points'] ?? null) ? $bandwidth['points'] : [] as $point) {
            $unknown = !isset($point['in'], $point['out']);
            if ($unknown && !$seen['days']) {
                continue; // before the first that is known there is nothing to tell
            }
            $seen['days'][] = [
                'date' => substr((string) ($point['at'] ?? ''), 0, 10),
                'in' => $unknown ? null : (float) $point['in'],
                'out' => $unknown ? null : (float) $point['out'],
                'note' => !$unknown && !empty($point['gap']) ? 'not complete' : '',
            ];
        }
        if (is_array($bandwidth)) {
            $p95 = $bandwidth['percentile_95'] ?? null;
            $seen['p95'] = is_numeric($p95) ? Figures::rate($p95) : '';
            $seen['total_in'] = Figures::size($bandwidth['octets_in'] ?? 0);
            $seen['total_out'] = Figures::size($bandwidth['octets_out'] ?? 0);
        }
        $usage = $got['usage'] ?? null;
        $seen['share'] = is_array($usage) ? Figures::share($usage) : '';
        $seen['sample'] = is_array($usage) && !empty($usage['sample_history']);
        return $seen;
    }

    /** @return array<string, mixed> */
    private function fromMemory(Problem $problem): array
    {
        $kept = $this->panel->store->of($this->panel->serviceId);
        $reference = $problem->reference ?: Guarded::reference();
        $told = Guarded::told($problem, $this->params) . Guarded::quoted($problem, $reference);
        if (time() - (int) ($kept['data']['failed_at'] ?? 0) > self::TOLD_AGAIN_SECONDS) {
            Guarded::log("the client's page: $told", $this->params);
            $this->panel->store->write($this->panel->serviceId, ['failed_at' => time(), 'failed' => $reference]);
        } else {
            $reference = (string) $kept['data']['failed'];
        }
        $user = (int) ($this->params['userid'] ?? 0);
        if (($kept['seen']['userid'] ?? 0) !== $user || $user <= 0) {
            $text = "These details cannot be shown at the moment. Please try again later (reference $reference).";
            return self::drawn(['message' => $text]);
        }
        return $this->page($kept['seen'], Fields::moment((int) $kept['seen']['at']));
    }

    /**
     * @param array<string, mixed> $seen
     * @return array<string, mixed>
     */
    private function page(array $seen, string $asOf): array
    {
        $buttons = [];
        foreach ($asOf === '' ? self::BUTTONS : [] as $function => [$kind, $label, $meaning]) {
            if (Settings::clientMay($this->params, $kind) && in_array($kind, $seen['actions'], true)) {
                $buttons[] = ['function' => $function, 'label' => $label, 'meaning' => $meaning];
            }
        }
        $days = [];
        foreach (array_reverse($seen['days']) as $day) {
            $days[] = [
                'date' => $day['date'],
                'in' => $day['in'] === null ? 'not known' : Figures::size($day['in']),
                'out' => $day['out'] === null ? 'not known' : Figures::size($day['out']),
                'note' => $day['note'],
            ];
        }
        return self::drawn([
            'state' => self::STATES[$seen['status']] ?? '',
            'why' => $seen['status'] === 'suspended' ? $seen['why'] : '',
            'hostname' => $seen['hostname'],
            'serverUsername' => $seen['username'],
            'power' => in_array($seen['power'], ['on', 'off'], true) ? $seen['power'] : '',
            'powerAt' => $seen['power_at'],
            'addresses' => $seen['addresses'],
            'open' => $seen['open'],
            'buttons' => $buttons,
            'days' => $days,
            'chart' => Chart::of($seen['days']),
            'totalIn' => $seen['total_in'] ?? '',
            'totalOut' => $seen['total_out'] ?? '',
            'p95' => $seen['p95'] ?? '',
            'share' => $seen['share'] ?? '',
            'sample' => !empty($seen['sample']),
            'asOf' => $asOf,
            'serviceNumber' => $this->panel->serviceId,
        ]);
    }

    /**
     * @param array<string, mixed> $vars
     * @return array<string, mixed>
     */
    private static function drawn(array $vars): array
    {
        $all = [
            'message' => '', 'state' => '', 'why' => '', 'hostname' => '', 'serverUsername' => '', 'power' => '', 'powerAt' => '',
            'addresses' => [], 'open' => '', 'buttons' => [], 'days' => [], 'chart' => Chart::of([]), 'totalIn' => '',
            'totalOut' => '', 'p95' => '', 'share' => '', 'sample' => false, 'asOf' => '', 'serviceNumber' => 0,
        ];
        return ['tabOverviewModuleOutputTemplate' => self::TEMPLATE, 'templateVariables' => $vars + $all];
    }
}
