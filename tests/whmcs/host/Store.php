<?php

namespace StandIn;

/** The tables that modules know, on SQLite. */
class Store
{
    const TABLES = [
        // configoption1 to 24 are added to it.
        'tblproducts' => 'id INTEGER PRIMARY KEY, type TEXT, name TEXT, servertype TEXT, servergroup INTEGER DEFAULT 0',
        // Texts of people are kept with HTML entities, as WHMCS keeps them; the password as Secrets keeps it.
        'tblservers' => "id INTEGER PRIMARY KEY, type TEXT, name TEXT, hostname TEXT DEFAULT '', ipaddress TEXT DEFAULT '', username TEXT DEFAULT '', password TEXT DEFAULT '', accesshash TEXT DEFAULT '', secure TEXT DEFAULT '', port TEXT DEFAULT '', active INTEGER DEFAULT 1, disabled INTEGER DEFAULT 0",
        'tblclients' => "id INTEGER PRIMARY KEY, firstname TEXT, lastname TEXT, companyname TEXT DEFAULT '', email TEXT",
        'tblhosting' => "id INTEGER PRIMARY KEY, userid INTEGER, packageid INTEGER, server INTEGER DEFAULT 0, domain TEXT DEFAULT '', username TEXT DEFAULT '', password TEXT DEFAULT '', domainstatus TEXT DEFAULT 'Pending', nextduedate TEXT, paid INTEGER DEFAULT 1, suspendreason TEXT DEFAULT '', dedicatedip TEXT DEFAULT '', assignedips TEXT DEFAULT '', diskusage INTEGER DEFAULT 0, disklimit INTEGER DEFAULT 0, bwusage INTEGER DEFAULT 0, bwlimit INTEGER DEFAULT 0, lastupdate TEXT DEFAULT '', configoptions TEXT DEFAULT '{}'",
        'tblcustomfields' => "id INTEGER PRIMARY KEY, type TEXT, relid INTEGER, fieldname TEXT, adminonly TEXT DEFAULT ''",
        'tblcustomfieldsvalues' => 'fieldid INTEGER, relid INTEGER, value TEXT, PRIMARY KEY (fieldid, relid)',
        'tblmodulequeue' => 'id INTEGER PRIMARY KEY, service_id INTEGER, module_name TEXT, module_action TEXT, last_attempt_error TEXT, num_retries INTEGER DEFAULT 0, completed INTEGER DEFAULT 0',
        'tblactivitylog' => 'id INTEGER PRIMARY KEY, description TEXT, userid INTEGER',
        'tblmodulelog' => 'id INTEGER PRIMARY KEY, module TEXT, action TEXT, request TEXT, response TEXT, arrdata TEXT',
        'tblemails' => 'id INTEGER PRIMARY KEY, userid INTEGER, subject TEXT, message TEXT',
        'tblconfiguration' => 'setting TEXT PRIMARY KEY, value TEXT',
    ];

    /** @var \PDO */
    public $pdo;

    public function __construct(string $file)
    {
        $this->pdo = new \PDO("sqlite:$file", null, null, [\PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION, \PDO::ATTR_TIMEOUT => 20]);
        $this->pdo->exec('PRAGMA journal_mode = WAL');
        foreach (self::TABLES as $name => $columns) {
            if ($name === 'tblproducts') {
                $columns .= implode('', array_map(static fn ($number) => ", configoption$number TEXT DEFAULT ''", range(1, 24)));
            }
            $this->pdo->exec("CREATE TABLE IF NOT EXISTS $name ($columns)");
        }
    }

    public function run(string $sql, array $values = []): \PDOStatement
    {
        $statement = $this->pdo->prepare($sql);
        $statement->execute($values);
        return $statement;
    }

    public function rows(string $sql, array $values = []): array
    {
        return $this->run($sql, $values)->fetchAll(\PDO::FETCH_ASSOC);
    }

    public function row(string $sql, array $values = []): ?array
    {
        return $this->rows($sql, $values)[0] ?? null;
    }

    public function add(string $table, array $values): int
    {
        $names = implode(', ', array_keys($values));
        $marks = implode(', ', array_fill(0, count($values), '?'));
        $this->run("INSERT INTO $table ($names) VALUES ($marks)", array_values($values));
        return (int) $this->pdo->lastInsertId();
    }

    public function change(string $table, int $id, array $values): void
    {
        $sets = implode(', ', array_map(static fn ($name) => "$name = ?", array_keys($values)));
        $this->run("UPDATE $table SET $sets WHERE id = ?", [...array_values($values), $id]);
    }

    public function setting(string $name): string
    {
        return (string) ($this->row('SELECT value FROM tblconfiguration WHERE setting = ?', [$name])['value'] ?? '');
    }

    // ------------------------------------------------------------ custom fields, also as service properties

    public function customFields(array $service): array
    {
        $sql = 'SELECT f.fieldname, v.value FROM tblcustomfields f LEFT JOIN tblcustomfieldsvalues v ON v.fieldid = f.id AND v.relid = ? WHERE f.relid = ?';
        $rows = $this->rows($sql, [$service['id'], $service['packageid']]);
        return array_column($rows, 'value', 'fieldname');
    }

    /** With what is kept; for clients without what is for staff only. */
    public function fieldsOfProduct(array $service, bool $forClients): array
    {
        $sql = 'SELECT f.id, f.fieldname, v.value FROM tblcustomfields f LEFT JOIN tblcustomfieldsvalues v ON v.fieldid = f.id AND v.relid = ? WHERE f.relid = ?';
        return $this->rows($sql . ($forClients ? " AND f.adminonly = ''" : ''), [$service['id'], $service['packageid']]);
    }

    public function setCustomField(array $service, string $name, string $value): void
    {
        $field = $this->row('SELECT id FROM tblcustomfields WHERE relid = ? AND fieldname = ?', [$service['packageid'], $name]);
        $id = $field['id'] ?? $this->add('tblcustomfields', ['type' => 'product', 'relid' => $service['packageid'], 'fieldname' => $name]);
        $this->setCustomFieldById((int) $id, (int) $service['id'], $value);
    }

    public function setCustomFieldById(int $id, int $serviceId, string $value): void
    {
        $this->run('INSERT OR REPLACE INTO tblcustomfieldsvalues (fieldid, relid, value) VALUES (?, ?, ?)', [$id, $serviceId, $value]);
    }
}

/** Stands for how WHMCS keeps passwords: whoever reads the column has nothing yet. */
class Secrets
{
    public static function shut(string $password): string
    {
        return 'shut:' . base64_encode(strrev($password));
    }

    public static function opened(string $kept): string
    {
        return strpos($kept, 'shut:') === 0 ? strrev((string) base64_decode(substr($kept, 5))) : '';
    }
}

/** `$params['model']`: only what the documentation of service properties shows. */
class Model
{
    const RESERVED = [
        'Username' => 'username', 'Password' => 'password', 'Domain' => 'domain', 'Dedicated IP' => 'dedicatedip',
        'Disk Usage' => 'diskusage', 'Disk Limit' => 'disklimit', 'Bandwidth Usage' => 'bwusage',
        'Bandwidth Limit' => 'bwlimit', 'Last Update' => 'lastupdate',
    ];

    public $serviceProperties;

    public function __construct(private Store $store, private array $service)
    {
        $this->serviceProperties = $this;
    }

    public function save(array $values): void
    {
        foreach ($values as $name => $value) {
            if (isset(self::RESERVED[$name])) {
                $this->store->change('tblhosting', (int) $this->service['id'], [self::RESERVED[$name] => $value]);
            } else {
                $this->store->setCustomField($this->service, $name, (string) $value);
            }
        }
    }

    public function get(string $name): string
    {
        if (isset(self::RESERVED[$name])) {
            return (string) $this->store->row('SELECT * FROM tblhosting WHERE id = ?', [$this->service['id']])[self::RESERVED[$name]];
        }
        return (string) ($this->store->customFields($this->service)[$name] ?? '');
    }
}
