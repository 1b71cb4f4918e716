<?php

/**
 * What any WHMCS module is expected to be, by the public documentation: the functions are there, take what WHMCS gives, and
 * return what WHMCS expects, whatever is missing in the settings. PHP 7.4 to 8.4, no host and no network.
 *
 * `php checks.php FOLDER` prints {check: "" or what is wrong} as JSON; FOLDER is what the archive was unpacked into.
 */

namespace {
    error_reporting(E_ALL);
    set_error_handler(static function (int $kind, string $text, string $file, int $line): bool {
        if (!(error_reporting() & $kind)) {
            return false;
        }
        throw new ErrorException($text, 0, $kind, $file, $line);
    });
    define('WHMCS', true);
    define('ROOTDIR', sys_get_temp_dir());

    function add_hook($point, $priority, $function)
    {
        Contract\Hooks::$added[] = $point;
    }

    function logModuleCall()
    {
    }

    function logActivity($text, $client = 0)
    {
    }

    function localAPI($command, $values = [])
    {
        return ['result' => 'error'];
    }
}

namespace WHMCS\Database {
    class Counting extends \PDO
    {
        public $tables = 0;
        /** @var array<int, callable> what others do, each just before a row is written back */
        public $meanwhile = [];

        #[\ReturnTypeWillChange]
        public function prepare($query, $options = [])
        {
            $prepared = parent::prepare($query, $options);
            if ($this->meanwhile && strpos($query, 'AND data = ?') !== false) {
                array_shift($this->meanwhile)();
            }
            return $prepared;
        }

        #[\ReturnTypeWillChange]
        public function exec($statement)
        {
            $this->tables += (int) (stripos($statement, 'CREATE TABLE') === 0);
            return parent::exec($statement);
        }
    }

    class Capsule
    {
        private static $pdo;

        public static function connection()
        {
            return new self();
        }

        public function getPdo()
        {
            if (self::$pdo === null) {
                self::$pdo = new Counting('sqlite::memory:', null, null, [\PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION]);
                self::$pdo->exec('CREATE TABLE tblservers (id INTEGER, type TEXT, hostname TEXT, ipaddress TEXT, username TEXT, '
                    . 'password TEXT, accesshash TEXT, secure TEXT, port TEXT, active INTEGER, disabled INTEGER)');
                self::$pdo->exec('CREATE TABLE tblhosting (id INTEGER, packageid INTEGER, server INTEGER, domainstatus TEXT)');
                self::$pdo->exec('CREATE TABLE tblproducts (id INTEGER, servertype TEXT, configoption6 TEXT)');
                self::$pdo->exec('CREATE TABLE tblcustomfields (id INTEGER, type TEXT, relid INTEGER, fieldname TEXT, adminonly TEXT)');
                self::$pdo->exec('CREATE TABLE tblconfiguration (setting TEXT, value TEXT)');
                self::$pdo->exec('CREATE TABLE tblcustomfieldsvalues (fieldid INTEGER, relid INTEGER, value TEXT)');
            }
            return self::$pdo;
        }
    }
}

namespace WHMCS\UsageBilling\Contracts\Metrics {
    interface MetricInterface
    {
        const TYPE_PERIOD_MONTH = 'month';
    }

    interface ProviderInterface
    {
        public function metrics();

        public function usage();

        public function tenantUsage($tenant);
    }
}

namespace WHMCS\UsageBilling\Metrics\Units {
    class FloatingPoint
    {
        public function __construct($name = '')
        {
        }
    }

    class GigaBytes extends FloatingPoint
    {
    }
}

namespace WHMCS\UsageBilling\Metrics {
    class Usage
    {
        public function __construct($value)
        {
        }
    }

    class Metric implements \WHMCS\UsageBilling\Contracts\Metrics\MetricInterface
    {
        private $name;

        public function __construct($systemName, $displayName, $type, $units)
        {
            $this->name = $systemName;
        }

        public function systemName()
        {
            return $this->name;
        }

        public function withUsage($usage)
        {
            return clone $this;
        }
    }
}

namespace Contract {
    class Hooks
    {
        public static $added = [];
    }

    /** Names of functions that a module of each kind must have, beside those that its buttons name. */
    const REQUIRED = [
        'doublehop' => ['MetaData', 'ConfigOptions', 'TestConnection', 'CreateAccount', 'SuspendAccount', 'UnsuspendAccount',
            'TerminateAccount', 'ChangePackage', 'Renew', 'AdminCustomButtonArray', 'ClientAreaAllowedFunctions', 'ClientArea',
            'AdminServicesTabFields', 'AdminServicesTabFieldsSave', 'ServiceSingleSignOn', 'AdminSingleSignOn', 'UsageUpdate',
            'MetricProvider', 'ListAccounts'],
        'singlehop' => ['MetaData', 'ConfigOptions', 'CreateAccount', 'SuspendAccount', 'UnsuspendAccount', 'TerminateAccount',
            'AdminCustomButtonArray', 'ClientArea', 'AdminServicesTabFields', 'AdminServicesTabFieldsSave'],
    ];
    const ACTIONS = ['CreateAccount', 'SuspendAccount', 'UnsuspendAccount', 'TerminateAccount', 'ChangePackage', 'Renew'];
    const TYPES = ['text', 'password', 'yesno', 'dropdown', 'radio', 'textarea'];
    /** Of what WHMCS may hand over, the barest, and values that nobody expects. */
    const GIVEN = [
        'nothing' => [],
        'a service without settings' => ['serviceid' => 7, 'userid' => 1, 'customfields' => [], 'clientsdetails' => []],
        'nonsense' => ['serviceid' => 'x', 'userid' => null, 'configoption1' => ['a'], 'serverhostname' => "a\nb", 'serverid' => []],
    ];

    /** @return array<string, callable(): string> '' or what is wrong */
    function checks(string $folder): array
    {
        $checks = [];
        foreach (REQUIRED as $module => $functions) {
            $home = "$folder/modules/servers/$module";
            require_once "$home/$module.php";
            require_once "$home/hooks.php";
            $checks["$module: its description"] = static function () use ($home, $module): string {
                $told = json_decode((string) file_get_contents("$home/whmcs.json"), true);
                $right = ($told['schema'] ?? '') === '1.0' && ($told['type'] ?? '') === 'whmcs-servers' && $told['name'] === $module;
                return $right ? '' : 'whmcs.json is not what the schema asks for';
            };
            foreach ($functions as $function) {
                foreach (GIVEN as $what => $params) {
                    $checks["$module: $function, given $what"] = static function () use ($module, $function, $params): string {
                        return called($module, $function, $params);
                    };
                }
            }
            $checks["$module: its buttons"] = static function () use ($module): string {
                return buttons($module);
            };
            $checks["$module: it makes its tables once"] = static function () use ($module): string {
                $tab = "{$module}_AdminServicesTabFields";
                $tab(['serviceid' => 7]);
                $database = \WHMCS\Database\Capsule::connection()->getPdo();
                $before = $database->tables;
                $tab(['serviceid' => 7]);
                return $database->tables === $before ? '' : 'a page makes tables that are there';
            };
            $checks["$module: what is logged holds no secret"] = static function () use ($module): string {
                $given = [
                    'items' => [['server' => ['accessHash' => 'S1', 'api-key' => 'S2', 'console_url' => 'S3', 'name' => 'seen']]],
                    'note' => 'see https://joe:S4@panel.example/a?x=1&token=S5&page=2#end',
                    'path' => '/servers?free=true&limit=200',
                ];
                $told = (string) json_encode(('WHMCS\\Module\\Server\\' . ucfirst($module) . '\\Client\\Masking')::of($given), JSON_UNESCAPED_SLASHES);
                $kept = strpos($told, 'seen') && strpos($told, 'x=1&') && strpos($told, '&page=2#end') && strpos($told, 'free=true&limit=200');
                return preg_match('/S\d/', $told) === 0 && $kept ? '' : $told;
            };
        }
        $checks['doublehop: what several keep at once is all kept'] = static function (): string {
            $store = new \WHMCS\Module\Server\Doublehop\Store();
            $database = \WHMCS\Database\Capsule::connection()->getPdo();
            $store->write(8, ['first' => 1]);
            foreach (['second', 'third'] as $name) {
                $database->meanwhile[] = static function () use ($database, $name) {
                    $left = $database->meanwhile;
                    $database->meanwhile = [];
                    (new \WHMCS\Module\Server\Doublehop\Store())->write(8, [$name => 1]);
                    $database->meanwhile = $left;
                };
            }
            $store->write(8, ['fourth' => 1]);
            $kept = array_keys($store->of(8)['data']);
            sort($kept);
            return $kept === ['first', 'fourth', 'second', 'third'] ? '' : implode(', ', $kept);
        };
        return $checks;
    }

    function called(string $module, string $function, array $params): string
    {
        if (!function_exists("{$module}_$function")) {
            return 'it is not there';
        }
        ob_start();
        try {
            $answer = ("{$module}_$function")($params);
        } catch (\Throwable $fault) {
            return get_class($fault) . ': ' . $fault->getMessage() . ' at ' . basename($fault->getFile()) . ':' . $fault->getLine();
        } finally {
            $printed = ob_get_clean();
        }
        return $printed !== '' ? 'it prints something' : wrong($module, $function, $answer);
    }

    /** @param mixed $answer */
    function wrong(string $module, string $function, $answer): string
    {
        if (in_array($function, ACTIONS, true)) {
            if (!is_string($answer) || $answer === '') {
                return 'it returns no text';
            }
            // There is no such service and no server: nothing to do has only a renewal, and the end of what holds no server.
            $nothing = $function === 'Renew' || "$module $function" === 'singlehop TerminateAccount';
            return $answer === 'success' && !$nothing ? 'it says success for what was not done' : '';
        }
        switch ($function) {
            case 'MetaData':
                return is_array($answer) && ($answer['APIVersion'] ?? '') === '1.1' && is_bool($answer['RequiresServer'] ?? null) ? '' : 'incomplete';
            case 'ConfigOptions':
                return options($answer);
            case 'TestConnection':
                return ($answer['success'] ?? null) === false && is_string($answer['error'] ?? null) && $answer['error'] !== '' ? '' : 'no error';
            case 'AdminServicesTabFields':
                return is_array($answer) && $answer && array_filter($answer, 'is_string') === $answer ? '' : 'not HTML by label';
            case 'AdminServicesTabFieldsSave':
            case 'UsageUpdate':
                return $answer === null ? '' : 'it returns something';
            case 'ClientArea':
                $page = $answer['tabOverviewModuleOutputTemplate'] ?? '';
                $file = (new \ReflectionFunction("{$module}_ClientArea"))->getFileName();
                return is_array($answer['templateVariables'] ?? null) && is_file(dirname((string) $file) . "/$page") ? '' : 'no template';
            case 'ServiceSingleSignOn':
                return ($answer['success'] ?? null) === false && ($answer['errorMsg'] ?? '') !== '' ? '' : 'no error';
            case 'AdminSingleSignOn':
                return is_bool($answer['success'] ?? null) ? '' : 'no success';
            case 'MetricProvider':
                $right = $answer instanceof \WHMCS\UsageBilling\Contracts\Metrics\ProviderInterface && count($answer->metrics()) > 0;
                return $right && $answer->usage() === [] ? '' : 'no provider';
            case 'ListAccounts':
                return ($answer['success'] ?? null) === false && is_string($answer['error'] ?? null) ? '' : 'no error';
            default:
                return is_array($answer) ? '' : 'it returns no array';
        }
    }

    /** @param mixed $answer */
    function options($answer): string
    {
        if (!is_array($answer) || !$answer || count($answer) > 24) {
            return 'not 1 to 24 fields';
        }
        foreach ($answer as $name => $field) {
            if (!in_array($field['Type'] ?? '', TYPES, true)) {
                return "$name is of no known type";
            }
            if (isset($field['Loader']) && (!function_exists($field['Loader']) || empty($field['SimpleMode']))) {
                return "$name has no loader, or is not in simple mode";
            }
        }
        return '';
    }

    function buttons(string $module): string
    {
        foreach (['AdminCustomButtonArray', 'ClientAreaAllowedFunctions', 'ClientAreaCustomButtonArray'] as $function) {
            if (!function_exists("{$module}_$function")) {
                continue;
            }
            foreach (("{$module}_$function")() as $suffix) {
                if (!function_exists("{$module}_$suffix")) {
                    return "$suffix is a button and no function";
                }
                $answer = ("{$module}_$suffix")([]);
                if (!is_string($answer) || $answer === '' || $answer === 'success') {
                    return "$suffix says that it was done";
                }
            }
        }
        return '';
    }

    if (isset($argv[1]) && realpath($argv[0]) === __FILE__) {
        $found = ['PHP' => PHP_VERSION];
        foreach (checks($argv[1]) as $name => $check) {
            $found[$name] = $check();
        }
        echo json_encode($found), "\n";
    }
}
