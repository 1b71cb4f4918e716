<?php

/** A SIMULATOR of WHMCS, made from its public documentation. See ../README.md. What modules expect to find globally. */

namespace {
    use StandIn\Host;

    error_reporting(E_ALL);
    // What a module does wrong shall be seen: a warning is a fault here.
    set_error_handler(static function (int $kind, string $text, string $file, int $line): bool {
        if (!(error_reporting() & $kind)) {
            return false;
        }
        throw new ErrorException($text, 0, $kind, $file, $line);
    });

    define('WHMCS', true);
    define('ROOTDIR', (string) getenv('WHMCS_STAND_IN'));
    foreach (['Store', 'Log', 'Modules', 'Host', 'Cron', 'Pages', 'UsageBilling'] as $part) {
        require_once __DIR__ . "/$part.php";
    }

    function add_hook($point, $priority, $function)
    {
        Host::get()->hooks[$point][] = [$priority, $function];
    }

    function run_hook($point, array $vars)
    {
        return Host::get()->runHooks($point, $vars);
    }

    function logModuleCall($module, $action, $request, $response, $processed = '', $replaceVars = [])
    {
        Host::get()->log->moduleCall($module, $action, $request, $response, $processed, $replaceVars);
    }

    function logActivity($text, $clientId = 0)
    {
        Host::get()->log->activity($text, $clientId);
    }

    /** The page ends where the form does not carry the token of the session; here, of the client. */
    function check_token($namespace = 'WHMCS.default')
    {
        $sent = $_POST['token'] ?? '';
        if (!is_string($sent) || !hash_equals(Host::tokenOf((int) ($_COOKIE['client'] ?? 0)), $sent)) {
            http_response_code(403);
            exit('Invalid Token');
        }
    }

    function localAPI($command, $values = [], $admin = '')
    {
        return Host::get()->localApi($command, $values);
    }
}

namespace WHMCS\Database {
    /** As much of it as the documentation shows for modules that write SQL themselves. */
    class Capsule
    {
        public static function connection(): self
        {
            return new self();
        }

        public function getPdo(): \PDO
        {
            return \StandIn\Host::get()->store->pdo;
        }
    }
}

namespace WHMCS\Service {
    class Status
    {
        const ACTIVE = 'Active';
        const SUSPENDED = 'Suspended';
    }
}
