<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/** Choosing a server in the list and saving. The panel decides whether it may be; this only asks, and tells the outcome. */
class Attaching
{
    public const FIELD = 'doublehop_server';
    public const FIELD_WAS = 'doublehop_server_was';
    public const FIELD_NAMED = 'doublehop_server_named';
    private const MOST_ALIKE = 200;
    /** So long after a choice WHMCS may still store the form that it was made in. */
    private const FORM_SECONDS = 60;

    /** @var array<string, mixed> */
    private $params;
    /** @var int */
    private $serviceId;
    /** @var Store */
    private $store;

    /** @param array<string, mixed> $params */
    public function __construct(array $params)
    {
        $this->params = $params;
        $this->serviceId = (int) ($params['serviceid'] ?? 0);
        $this->store = new Store();
    }

    /**
     * WHMCS shows nothing of what goes wrong here: it stands beside the list at the next look, and in the activity log.
     *
     * @param array<string, mixed> $request
     */
    public function saved(array $request): void
    {
        $chosen = $request[self::FIELD] ?? null;
        $was = $request[self::FIELD_WAS] ?? null;
        $named = $request[self::FIELD_NAMED] ?? '';
        $named = is_string($named) ? mb_substr(trim($named), 0, 120) : '';
        if ($this->serviceId <= 0 || !is_string($chosen) || !is_string($was) || ($chosen === $was && $named === '')) {
            return; // nothing was chosen, or the list was not shown
        }
        if (preg_match('/^([1-9][0-9]{0,17})?$/', $chosen) !== 1) {
            return;
        }
        try {
            if ($named !== '' && $chosen !== $was) {
                $text = 'One server was chosen in the list and another one by its name. Choose in one of the two ways.';
                throw new Problem(Problem::NOT_SENT, $text);
            }
            $panel = new Panel($this->params, Settings::COMMAND_SECONDS);
            $chosen = $named === '' ? $chosen : (string) $this->named($panel, $named);
            $chosen === '' ? $this->detach($panel, $was) : $this->attach($panel, (int) $chosen, $was);
        } catch (Problem $problem) {
            $unknown = $problem->kind === Problem::UNKNOWN;
            $outcome = $unknown ? ' The list shows which server it is now.' : ' The server was not changed.';
            $this->note(Guarded::told($problem, $this->params) . $outcome);
        }
    }

    /** The free server of that hostname, label or main address. Raises Problem unless it is exactly one. */
    private function named(Panel $panel, string $named): int
    {
        $query = ['free' => 'true', 'q' => $named, 'limit' => self::MOST_ALIKE];
        $found = [];
        foreach ($panel->rest()->get('/servers', $query)['items'] ?? [] as $server) {
            foreach (['hostname', 'label', 'primary_address'] as $name) {
                if (is_array($server) && strcasecmp((string) ($server[$name] ?? ''), $named) === 0) {
                    $found[(int) $server['id']] = true;
                }
            }
        }
        if (count($found) !== 1) {
            $text = $found ? "More than one free server is called \"$named\": write its main address."
                : "No free server is called \"$named\": write the whole hostname, label or main address.";
            throw new Problem(Problem::NOT_SENT, $text);
        }
        return (int) key($found);
    }

    private function attach(Panel $panel, int $server, string $was): void
    {
        $asking = new Asking($panel);
        $ordering = new Ordering($this->params, $panel, $asking);
        $service = $panel->service();
        if ($service === null) {
            $service = $ordering->takenOver();
            if ($service !== null) {
                // The list could not know it yet: the choice was made without what it holds.
                $was = (string) ($service['server_id'] ?? '');
            }
        }
        $service = $service ?? $ordering->ordered($server);
        if ($service['status'] === 'terminated') {
            // Taking it back gives it the server that it had, which nobody chose here.
            $text = "Service {$service['number']} has ended in the panel. Press Create first, which gives it the server that it had";
            throw new Problem(Problem::NOT_SENT, $text);
        }
        if (!$panel->isOfTheClient($service)) {
            $this->note("Service {$service['number']} is of another client in the panel. The server was not changed.");
            return;
        }
        $now = (string) ($service['server_id'] ?? '');
        $fill = ['at' => time()];
        if ($now !== (string) $server) {
            if ($now !== $was) {
                throw self::overtaken();
            }
            $path = '/services/' . (int) $service['id'] . ($now === '' ? '/attach' : '/swap');
            $chosen = ['server_id' => $server, 'reason' => Asking::by('Chosen in the billing system')];
            $service = $panel->known($asking->once('POST', $path, 'attach', $chosen));
            // Those of the server before may soon be another client's. Get Server IP fills in all.
            $fill['addresses'] = array_filter([Panel::fieldsOf($service)['address']], 'strlen');
        }
        if ((int) ($service['server_id'] ?? 0) !== $server) {
            throw new Problem(Problem::UNKNOWN, "The panel answered, and service {$service['number']} has not the server that was chosen.");
        }
        $panel->fillFields($service, $fill);
        // The form holds what stood there before: WHMCS may still store that, the number in its field, too.
        $fill += ['number' => (string) $service['number']] + Panel::fieldsOf($service);
        $this->store->write($this->serviceId, ['fill' => $fill]);
        $create = $this->isActiveHere() ? '' : ' Create sets it active here, and sends the welcome mail.';
        $this->note(Panel::label($service) . " is the server of this service now (number {$service['number']}).$create");
    }

    private function detach(Panel $panel, string $was): void
    {
        $service = $panel->bound();
        if (($service['server_id'] ?? null) === null) {
            return;
        }
        if ((string) $service['server_id'] !== $was) {
            throw self::overtaken();
        }
        $path = '/services/' . (int) $service['id'] . '/detach';
        $out = ['reason' => Asking::by('Taken out in the billing system')];
        $now = $panel->known((new Asking($panel))->once('POST', $path, 'attach', $out));
        if (($now['server_id'] ?? null) !== null) {
            throw new Problem(Problem::UNKNOWN, "The panel answered, and service {$service['number']} still has a server.");
        }
        // Now, and after WHMCS stored the form, which holds what stood there before.
        $fill = ['at' => time(), 'none' => true] + Panel::fieldsOf($now);
        Fields::fill($this->serviceId, $fill);
        $this->store->write($this->serviceId, ['fill' => $fill]);
        $this->note(Panel::label($service) . ' was taken out of this service. The machine was not touched.');
    }

    private static function overtaken(): Problem
    {
        return new Problem(Problem::NOT_SENT, 'The service has got another server since the page was opened: look at the list.');
    }

    private function isActiveHere(): bool
    {
        $row = $this->store->row('SELECT domainstatus FROM tblhosting WHERE id = ?', [$this->serviceId]);
        return ($row['domainstatus'] ?? '') === 'Active';
    }

    private function note(string $text): void
    {
        $this->store->write($this->serviceId, ['note' => $text, 'note_at' => time()]);
        Guarded::log($text, $this->params);
    }

    /** After WHMCS stored the form, whichever came first. */
    public static function refill(int $serviceId): void
    {
        $store = new Store();
        $fill = $store->of($serviceId)['data']['fill'] ?? null;
        if (is_array($fill)) {
            // First: filling in may be an edit of the service, too, and lead here again.
            $store->write($serviceId, ['fill' => null]);
            if (time() - (int) ($fill['at'] ?? 0) <= self::FORM_SECONDS) {
                Fields::fill($serviceId, $fill);
            }
        }
    }
}
