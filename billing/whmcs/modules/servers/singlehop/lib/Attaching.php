<?php

namespace WHMCS\Module\Server\Singlehop;

use Doublehop\Billing\Problem;

/** Choosing a server in the list and saving: the service holds it from then on, and its own fields are filled in. */
class Attaching
{
    const FIELD = 'singlehop_server';
    const FIELD_WAS = 'singlehop_server_was';
    /** So many services that are gone are forgotten at one cron. */
    const AT_ONCE = 3;

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

    /** WHMCS shows nothing of what goes wrong here: it stands beside the list at the next look, and in the activity log. */
    public function saved(array $request): void
    {
        $chosen = $request[self::FIELD] ?? null;
        $was = $request[self::FIELD_WAS] ?? null;
        if ($this->serviceId <= 0 || !is_string($chosen) || !is_string($was) || $chosen === $was) {
            return; // nothing was chosen, or the list was not shown
        }
        if (!$this->bindings->take($this->serviceId)) {
            $this->note('Another command for this service is being carried out. The server was not changed.');
            return;
        }
        try {
            $before = $this->bindings->of($this->serviceId);
            // Of a service that was moved to another client the list shows none.
            $isOurs = (int) ($before['data']['client_id'] ?? 0) === (int) ($this->params['userid'] ?? 0);
            if (($isOurs ? $before['server_id'] : '') !== $was) {
                $this->note('The service has got another server since the page was opened. Nothing was changed: look at the list.');
                return;
            }
            $chosen === '' ? $this->detach() : $this->attach($chosen);
        } catch (Problem $problem) {
            $this->note(Guarded::told($problem) . ' The server was not changed.');
        } finally {
            $this->bindings->giveBack($this->serviceId);
        }
    }

    private function attach(string $serverId): void
    {
        $leap = Settings::leap($this->params, Settings::COMMAND_SECONDS);
        $before = $this->bindings->of($this->serviceId);
        if ($this->isBusy($before['data'])) {
            return;
        }
        if (!in_array($serverId, $leap->permitted(Settings::tandem($this->params)), true)) {
            $this->note('The Tandem user has no permission on the chosen server. The server was not changed.');
            return;
        }
        $found = $leap->details($serverId);
        $data = [
            'hostname' => $found['hostname'],
            'address' => $found['address'],
            'username' => $found['username'],
            'client_id' => (int) ($this->params['userid'] ?? 0),
            'attached_at' => time(),
        ];
        if (!$this->bindings->attach($this->serviceId, $serverId, $data)) {
            $other = $this->bindings->attached()[$serverId] ?? 0;
            $this->note("{$found['hostname']} is attached to service $other already. The server was not changed.");
            return;
        }
        Fields::fill($this->serviceId, $found);
        $former = $before['server_id'] !== '' ? " in place of {$before['data']['hostname']}" : '';
        $suspended = $found['suspended'] ? ' It is suspended at your provider: Unsuspend lifts that.' : '';
        $this->note("{$found['hostname']} ({$found['address']}) was attached$former.$suspended", ['fill' => true] + $data);
    }

    private function detach(): void
    {
        $before = $this->bindings->of($this->serviceId);
        if ($before['server_id'] === '' || $this->isBusy($before['data'])) {
            return;
        }
        $this->bindings->release($this->serviceId);
        $this->note("{$before['data']['hostname']} was taken out of this service. The machine was not touched.", []);
    }

    private function isBusy(array $data): bool
    {
        $open = in_array($data['operation']['state'] ?? 'none', Commands::OPEN, true);
        if ($open) {
            $this->note("The server was not changed: operation {$data['operation']['reference']} is still under way. Press the command once more to see how it ended.");
        }
        return $open;
    }

    private function note(string $text, ?array $data = null): void
    {
        $data = $data ?? $this->bindings->of($this->serviceId)['data'];
        $this->bindings->write($this->serviceId, ['note' => $text, 'note_at' => time()] + $data);
        Fields::note("Singlehop, service $this->serviceId: $text", (int) ($this->params['userid'] ?? 0));
    }

    /** After WHMCS stored the form, whichever came first. */
    public static function refill(int $serviceId): void
    {
        $bindings = new Bindings();
        $row = $bindings->of($serviceId);
        if ($row['server_id'] !== '' && !empty($row['data']['fill'])) {
            // First: filling in may be an edit of the service, too, and lead here again.
            unset($row['data']['fill']);
            $bindings->write($serviceId, $row['data']);
            Fields::fill($serviceId, $row['data']);
        }
    }

    public static function forget(int $serviceId): void
    {
        (new Bindings())->forget($serviceId);
    }

    public static function forgetMissing(): void
    {
        $bindings = new Bindings();
        foreach ($bindings->missing(self::AT_ONCE) as $serviceId) {
            $bindings->forget($serviceId);
        }
    }
}
