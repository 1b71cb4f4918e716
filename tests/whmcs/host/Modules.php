<?php

namespace StandIn;

/** Finds and calls the functions of provisioning modules. */
class Modules
{
    public function __construct(private Store $store)
    {
    }

    public function load(string $module): void
    {
        if (preg_match('/^[a-z][a-z0-9]*$/', $module) !== 1) {
            throw new \RuntimeException("not a module name: $module");
        }
        require_once ROOTDIR . "/modules/servers/$module/$module.php";
    }

    /** Hooks of the house, and of modules that a product uses, as documented: not of those that only lie there. */
    public function loadHooks(): void
    {
        foreach (glob(ROOTDIR . '/includes/hooks/*.php') ?: [] as $file) {
            require_once $file;
        }
        foreach ($this->store->rows('SELECT DISTINCT servertype FROM tblproducts') as $row) {
            $file = ROOTDIR . "/modules/servers/{$row['servertype']}/hooks.php";
            if (is_file($file)) {
                require_once $file;
            }
        }
    }

    public function has(string $module, string $function): bool
    {
        $this->load($module);
        return function_exists("{$module}_$function");
    }

    public function call(string $module, string $function, array $params)
    {
        $this->load($module);
        return ("{$module}_$function")($params);
    }

    /** A field of Module Settings that a loader fills in: its choices, or the text of what went wrong. */
    public function loaded(array $field, string $module): array
    {
        $server = $this->store->row('SELECT * FROM tblservers WHERE type = ? AND disabled = 0 ORDER BY active DESC, id', [$module]) ?? [];
        try {
            return ['choices' => ($field['Loader'])($this->serverParams($server)), 'error' => ''];
        } catch (\Exception $error) {
            return ['choices' => [], 'error' => $error->getMessage()];
        }
    }

    public function params(int $serviceId): array
    {
        $service = $this->store->row('SELECT * FROM tblhosting WHERE id = ?', [$serviceId]);
        $product = $this->store->row('SELECT * FROM tblproducts WHERE id = ?', [$service['packageid']]);
        $server = $this->store->row('SELECT * FROM tblservers WHERE id = ?', [$service['server']]) ?? [];
        $params = [
            'serviceid' => (int) $service['id'], 'userid' => (int) $service['userid'], 'pid' => (int) $product['id'],
            'serverid' => (int) $service['server'], 'domain' => $service['domain'], 'username' => $service['username'],
            'password' => $service['password'], 'producttype' => $product['type'], 'moduletype' => $product['servertype'],
            'suspendreason' => $service['suspendreason'], 'configoptions' => json_decode($service['configoptions'], true),
            'clientsdetails' => $this->store->row('SELECT * FROM tblclients WHERE id = ?', [$service['userid']]),
            'customfields' => $this->store->customFields($service), 'model' => new Model($this->store, $service),
        ] + $this->serverParams($server);
        for ($number = 1; $number <= 24; $number++) {
            $params["configoption$number"] = (string) $product["configoption$number"];
        }
        return $params;
    }

    public function serverParams(array $server): array
    {
        return [
            'server' => (bool) $server, 'serverid' => (int) ($server['id'] ?? 0), 'serverip' => $server['ipaddress'] ?? '', 'serverhostname' => $server['hostname'] ?? '',
            'serverusername' => $server['username'] ?? '', 'serverpassword' => Secrets::opened($server['password'] ?? ''),
            'serveraccesshash' => $server['accesshash'] ?? '', 'serversecure' => ($server['secure'] ?? '') === 'on',
            'serverport' => $server['port'] ?? '', 'serverhttpprefix' => ($server['secure'] ?? '') === 'on' ? 'https' : 'http',
        ];
    }
}
