<?php

namespace StandIn;

/** What WHMCS does with a module: runs its functions, believes the word *success*, and queues what failed by itself. */
class Host
{
    const STATUS = ['CreateAccount' => 'Active', 'SuspendAccount' => 'Suspended', 'UnsuspendAccount' => 'Active', 'TerminateAccount' => 'Terminated'];
    const HOOK = ['CreateAccount' => 'Create', 'SuspendAccount' => 'Suspend', 'UnsuspendAccount' => 'Unsuspend', 'TerminateAccount' => 'Terminate'];

    /** @var ?self */
    private static $one;
    public Store $store;
    public Log $log;
    public Modules $modules;
    public array $hooks = [];

    public static function get(): self
    {
        if (self::$one === null) {
            self::$one = new self();
            self::$one->modules->loadHooks();
        }
        return self::$one;
    }

    private function __construct()
    {
        $this->store = new Store(ROOTDIR . '/whmcs.sqlite3');
        $this->log = new Log($this->store);
        $this->modules = new Modules($this->store);
    }

    /** What forms of a client's session carry. */
    public static function tokenOf(int $clientId): string
    {
        return hash('sha256', "stand-in $clientId");
    }

    public function runHooks(string $point, array $vars): array
    {
        $found = $this->hooks[$point] ?? [];
        usort($found, static fn ($a, $b) => $a[0] <=> $b[0]);
        return array_map(static fn ($one) => $one[1]($vars), $found);
    }

    public function service(int $id): array
    {
        return $this->store->row('SELECT h.*, p.servertype, p.name AS product FROM tblhosting h JOIN tblproducts p ON p.id = h.packageid WHERE h.id = ?', [$id])
            ?? throw new \OutOfBoundsException('no such service');
    }

    /** One of the four actions with a status of their own. `$automatic`: by cron or payment, so a failure is queued. */
    public function command(int $serviceId, string $action, bool $automatic = false): string
    {
        $service = $this->service($serviceId);
        $params = $this->modules->params($serviceId);
        foreach ($this->runHooks('PreModule' . self::HOOK[$action], ['params' => $params]) as $answer) {
            if (!empty($answer['abortcmd'])) {
                return 'Aborted by a hook';
            }
        }
        $said = $this->modules->has($service['servertype'], $action)
            ? $this->modules->call($service['servertype'], $action, $params) : 'Function Not Supported by Module';
        if ($said === 'success') {
            $this->succeeded($service, $action);
            $this->runHooks('AfterModule' . self::HOOK[$action], ['params' => $params]);
            return 'success';
        }
        $said = is_string($said) ? $said : 'The module returned no text';
        $this->log->activity("Module $action failed for service $serviceId: $said", $service['userid']);
        $this->runHooks('AfterModule' . self::HOOK[$action] . 'Failed', ['params' => $params, 'failureResponseMessage' => $said]);
        if ($automatic) {
            $this->queue($service, $action, $said);
        }
        return $said;
    }

    private function succeeded(array $service, string $action): void
    {
        $this->store->change('tblhosting', (int) $service['id'], ['domainstatus' => self::STATUS[$action]]);
        if ($action === 'CreateAccount') {
            $now = $this->service((int) $service['id']);
            $text = "Your server {$now['domain']} is ready. Username {$now['username']}, address {$now['dedicatedip']}.";
            $this->store->add('tblemails', ['userid' => $service['userid'], 'subject' => 'New product information', 'message' => $text]);
        }
        $this->isDone($service, $action);
    }

    private function isDone(array $service, string $action): void
    {
        $sql = 'UPDATE tblmodulequeue SET completed = 1 WHERE service_id = ? AND module_action = ? AND completed = 0';
        $this->store->run($sql, [$service['id'], $action]);
    }

    private function queue(array $service, string $action, string $said): void
    {
        $waiting = $this->store->row('SELECT id, num_retries FROM tblmodulequeue WHERE service_id = ? AND module_action = ? AND completed = 0', [$service['id'], $action]);
        if ($waiting) {
            $this->store->change('tblmodulequeue', (int) $waiting['id'], ['last_attempt_error' => $said, 'num_retries' => $waiting['num_retries'] + 1]);
            return;
        }
        $this->store->add('tblmodulequeue', ['service_id' => $service['id'], 'module_name' => $service['servertype'], 'module_action' => $action, 'last_attempt_error' => $said]);
    }

    public function retry(int $queueId): string
    {
        $row = $this->store->row('SELECT * FROM tblmodulequeue WHERE id = ? AND completed = 0', [$queueId]);
        if (!$row) {
            return 'no such entry';
        }
        $id = (int) $row['service_id'];
        return $row['module_action'] === 'ChangePackage' ? $this->changePackage($id, true) : $this->command($id, $row['module_action'], true);
    }

    /** The same for a product addon of the service: its parameters name the service, too. */
    public function ofAddon(int $serviceId, string $action): string
    {
        $params = ['addonId' => 5] + $this->modules->params($serviceId);
        return $this->modules->call($this->service($serviceId)['servertype'], $action, $params);
    }

    /** A button of AdminCustomButtonArray. What is not in there is not called. */
    public function custom(int $serviceId, string $suffix): string
    {
        $module = $this->service($serviceId)['servertype'];
        $buttons = $this->modules->has($module, 'AdminCustomButtonArray') ? $this->modules->call($module, 'AdminCustomButtonArray', []) : [];
        if (!in_array($suffix, $buttons, true)) {
            return 'no such command';
        }
        $said = $this->modules->call($module, $suffix, $this->modules->params($serviceId));
        return is_string($said) ? $said : 'The module returned no text';
    }

    /** `modop=custom`: what a client may call, by a link as well as by a form: a text, or a page of its own. Null where the service is not the client's. */
    public function customOfClient(int $serviceId, int $clientId, string $suffix): string|array|null
    {
        if (!$this->store->row('SELECT id FROM tblhosting WHERE id = ? AND userid = ?', [$serviceId, $clientId])) {
            return null;
        }
        $module = $this->service($serviceId)['servertype'];
        $allowed = [];
        foreach (['ClientAreaCustomButtonArray', 'ClientAreaAllowedFunctions'] as $function) {
            $allowed = array_merge($allowed, $this->modules->has($module, $function) ? array_values($this->modules->call($module, $function, [])) : []);
        }
        if (!in_array($suffix, $allowed, true)) {
            return 'no such command';
        }
        $said = $this->modules->call($module, $suffix, $this->modules->params($serviceId));
        return is_array($said) ? $said : (string) $said;
    }

    /** A paid upgrade, to another product or of configurable options: the service has it before the module is asked, and what fails is queued. */
    public function upgrade(int $serviceId, array $bought): string
    {
        $this->store->change('tblhosting', $serviceId, $bought);
        return $this->changePackage($serviceId, true);
    }

    public function changePackage(int $serviceId, bool $automatic = false): string
    {
        $service = $this->service($serviceId);
        $said = $this->modules->call($service['servertype'], 'ChangePackage', $this->modules->params($serviceId));
        if ($said !== 'success' && $automatic) {
            $this->queue($service, 'ChangePackage', $said);
        }
        if ($said === 'success') {
            $this->isDone($service, 'ChangePackage');
        }
        return $said;
    }

    public function serverCall(int $serverId, string $function)
    {
        $server = $this->store->row('SELECT * FROM tblservers WHERE id = ?', [$serverId]);
        $params = $this->modules->serverParams($server);
        // Asked of what stands in the form: a record that is not stored yet has no number.
        return $this->modules->call($server['type'], $function, $function === 'TestConnection' ? array_diff_key($params, ['serverid' => 0]) : $params);
    }

    /** Save Changes. Which of the two WHMCS does first is not documented, so both can be had. */
    public function save(int $serviceId, array $form): void
    {
        $module = $this->service($serviceId)['servertype'];
        $this->runHooks('PreServiceEdit', ['serviceid' => $serviceId]);
        $own = function () use ($serviceId, $form) {
            $this->store->change('tblhosting', $serviceId, array_intersect_key($form, array_flip(['domain', 'username', 'dedicatedip', 'assignedips'])));
            foreach ($form['customfield'] ?? [] as $field => $value) {
                $this->store->setCustomFieldById((int) $field, $serviceId, $value);
            }
        };
        $theirs = function () use ($module, $serviceId) {
            if ($this->modules->has($module, 'AdminServicesTabFieldsSave')) {
                $this->modules->call($module, 'AdminServicesTabFieldsSave', $this->modules->params($serviceId));
            }
        };
        $order = $this->store->setting('save_order') === 'module first' ? [$theirs, $own] : [$own, $theirs];
        foreach ($order as $one) {
            $one();
        }
        $this->runHooks('ServiceEdit', ['serviceid' => $serviceId, 'userid' => $this->service($serviceId)['userid']]);
    }

    public function localApi(string $command, array $values): array
    {
        if ($command === 'UpdateClientProduct') {
            $columns = [
                'domain' => 'domain', 'serviceusername' => 'username', 'servicepassword' => 'password', 'dedicatedip' => 'dedicatedip',
                'assignedips' => 'assignedips', 'bwusage' => 'bwusage', 'bwlimit' => 'bwlimit',
            ];
            $unknown = array_diff_key($values, $columns, ['serviceid' => 0, 'customfields' => 0, 'unset' => 0]) + array_diff_key(array_flip($values['unset'] ?? []), $columns);
            if ($unknown || !$this->store->row('SELECT id FROM tblhosting WHERE id = ?', [$values['serviceid'] ?? 0])) {
                return ['result' => 'error', 'message' => 'Service ID Not Found'];
            }
            foreach (array_intersect_key($values, $columns) as $name => $value) {
                $this->store->change('tblhosting', (int) $values['serviceid'], [$columns[$name] => $value]);
            }
            foreach ($values['unset'] ?? [] as $name) {
                $this->store->change('tblhosting', (int) $values['serviceid'], [$columns[$name] => '']);
            }
            foreach (unserialize(base64_decode($values['customfields'] ?? base64_encode('a:0:{}'))) as $field => $value) {
                $this->store->setCustomFieldById($field, (int) $values['serviceid'], $value);
            }
            // Whether WHMCS does so is not documented; a module that fills in fields when it is told of an edit must bear it.
            $service = $this->service((int) $values['serviceid']);
            $this->runHooks('ServiceEdit', ['serviceid' => (int) $service['id'], 'userid' => $service['userid']]);
            return ['result' => 'success', 'serviceid' => $values['serviceid']];
        }
        if ($command === 'DecryptPassword') {
            return ['result' => 'success', 'password' => Secrets::opened((string) ($values['password2'] ?? ''))];
        }
        if ($command === 'LogActivity') {
            $this->log->activity($values['description'] ?? '', $values['clientid'] ?? 0);
            return ['result' => 'success'];
        }
        if ($command === 'GetModuleQueue') {
            return ['result' => 'success', 'queue' => $this->store->rows('SELECT * FROM tblmodulequeue WHERE completed = 0')];
        }
        return ['result' => 'error', 'message' => "The stand-in has no $command"];
    }
}
