<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;
use Doublehop\Billing\Rest;

/**
 * The service at the panel that this service of WHMCS stands for. They belong together by one thing only: the panel keeps
 * the number of the WHMCS service, and no text that anybody can edit decides which machine is meant.
 */
class Panel
{
    /** So many a list of one page holds at most. */
    private const AT_ONCE = 200;

    /** @var Store */
    public $store;
    /** @var int of WHMCS */
    public $serviceId;
    /** @var array<string, mixed> */
    private $params;
    /** @var float */
    private $seconds;
    /** @var ?Rest */
    private $rest;

    /** @param array<string, mixed> $params */
    public function __construct(array $params, float $seconds)
    {
        $this->params = $params;
        $this->seconds = $seconds;
        $this->serviceId = (int) ($params['serviceid'] ?? 0);
        $this->store = new Store();
    }

    /** Raises Problem where nothing may be asked, or the server record does not say whom. */
    public function rest(): Rest
    {
        if ($this->rest === null) {
            if ($this->serviceId <= 0) {
                throw new Problem(Problem::NOT_SENT, 'There is no such service. Nothing was sent.');
            }
            if (!empty($this->params['addonId'])) {
                // It comes with the number of the service that it belongs to: another machine would be meant.
                throw new Problem(Problem::NOT_SENT, 'A product addon cannot have a server of its own. Nothing was sent.');
            }
            $this->rest = Installation::rest($this->params, $this->seconds);
        }
        return $this->rest;
    }

    /** @return ?array<string, mixed> null where the panel has none yet */
    public function service(): ?array
    {
        $query = ['billing_reference' => (string) $this->serviceId, 'limit' => 2];
        $items = $this->rest()->get('/services', $query)['items'] ?? null;
        if (!is_array($items)) {
            throw new Problem(Problem::NOT_SENT, 'The answer holds no list of services. Nothing was done.');
        }
        if (count($items) > 1) {
            $text = 'The panel has more than one service with this number. Nothing was sent: a person must look.';
            throw new Problem(Problem::NOT_SENT, $text);
        }
        return $items ? $this->known($items[0]) : null;
    }

    /** @return array<string, mixed> Raises Problem where the panel has none. */
    public function bound(): array
    {
        $service = $this->service();
        if ($service === null) {
            $number = $this->number();
            $text = 'The panel has no service for this one yet. Nothing was sent. ' . ($number === ''
                ? 'Press Create, or choose a server in the list.'
                : "Press Refresh to take over the panel's service $number, which stands in the field \"" . Settings::NUMBER_FIELD . '".');
            throw new Problem(Problem::NOT_SENT, $text);
        }
        return $service;
    }

    /** Of the service at the panel, as it stands in the field for staff; empty before anything was ordered or imported. */
    public function number(): string
    {
        return trim((string) ($this->params['customfields'][Settings::NUMBER_FIELD] ?? ''));
    }

    /**
     * What the panel answered, once it is certain that it is ours, remembered for pages that may not get an answer.
     *
     * @param mixed $service
     * @return array<string, mixed>
     */
    public function known($service): array
    {
        if (!is_array($service) || (string) ($service['billing_reference'] ?? '') !== (string) $this->serviceId) {
            $text = 'The panel answered with a service of another number. Nothing was sent.';
            throw new Problem(Problem::NOT_SENT, $text);
        }
        $number = $this->number();
        if ($number !== '' && $number !== (string) $service['number']) {
            $text = "Stopped: the field \"" . Settings::NUMBER_FIELD . "\" says $number, and the panel's service for this one is "
                . "{$service['number']}. Nothing was sent. Put the field right, or empty it.";
            throw new Problem(Problem::NOT_SENT, $text);
        }
        $now = ['service' => (int) $service['id'], 'serverid' => (int) ($this->params['serverid'] ?? 0)];
        $kept = $this->store->of($this->serviceId)['data'];
        if (array_intersect_key($kept, $now) != $now) {
            $this->store->write($this->serviceId, $now);
        }
        return $service;
    }

    /**
     * The service of that number, whoever it belongs to.
     *
     * @return ?array<string, mixed>
     */
    public function numbered(string $number): ?array
    {
        foreach ($this->rest()->get('/services', ['q' => $number, 'limit' => self::AT_ONCE])['items'] ?? [] as $one) {
            if (is_array($one) && (string) ($one['number'] ?? '') === $number) {
                return $one;
            }
        }
        return null;
    }

    /**
     * Whether the panel's service is of the client who has it in WHMCS: a service that was moved shows nothing of whoever
     * had it before.
     *
     * @param array<string, mixed> $service
     */
    public function isOfTheClient(array $service): bool
    {
        $user = (int) ($this->params['userid'] ?? 0);
        $kept = $this->store->of($this->serviceId)['data'];
        if ($user > 0 && ($kept['userid'] ?? 0) === $user && ($kept['client'] ?? 0) === (int) $service['client_id']) {
            return true;
        }
        $client = $this->rest()->get('/clients/' . (int) $service['client_id']);
        if ($user <= 0 || (string) ($client['billing_reference'] ?? '') !== (string) $user) {
            return false;
        }
        $this->store->write($this->serviceId, ['userid' => $user, 'client' => (int) $service['client_id']]);
        return true;
    }

    /**
     * @param array<string, mixed> $service
     * @param array<string, mixed> $more that is filled in besides, as Fields::fill takes it
     */
    public function fillFields(array $service, array $more = []): void
    {
        $model = $this->params['model'] ?? null;
        if (is_object($model) && isset($model->serviceProperties)) {
            $model->serviceProperties->save([Settings::NUMBER_FIELD => (string) $service['number']]);
            $this->store->keepFromClients(Settings::NUMBER_FIELD);
        }
        Fields::fill($this->serviceId, $more + self::fieldsOf($service));
    }

    /**
     * @param array<string, mixed> $service
     * @return array{hostname: string, username: string, address: string}
     */
    public static function fieldsOf(array $service): array
    {
        return [
            'hostname' => (string) ($service['hostname'] ?? ''),
            'username' => (string) ($service['username'] ?? ''),
            'address' => (string) ($service['primary_address'] ?? ''),
        ];
    }

    /** @param array<string, mixed> $service */
    public static function label(array $service): string
    {
        $parts = [(string) ($service['hostname'] ?? ''), (string) ($service['primary_address'] ?? '')];
        return implode(' · ', array_filter($parts, 'strlen'));
    }
}
