<?php

namespace WHMCS\Module\Server\Doublehop;

use WHMCS\Database\Capsule;

/**
 * What the module keeps of its own. Which service is which is not in here: the panel says that.
 *
 * `data` is what was found and decided, `seen` what a client's page may show while the panel does not answer, `asked` the
 * keys under which deeds were asked for: a deed that is asked again under its key is done once.
 */
class Store
{
    public const SERVICES = 'mod_doublehop';
    public const ASKED = 'mod_doublehop_asked';
    public const STOPPED = 'mod_doublehop_refused';
    public const LEAVING = 'mod_doublehop_leaving';
    private const TRIES = 5;

    /** @var \PDO */
    private $pdo;

    public function __construct()
    {
        $this->pdo = Capsule::connection()->getPdo();
    }

    /** @return array{data: array<string, mixed>, seen: array<string, mixed>} */
    public function of(int $serviceId): array
    {
        $row = $this->row('SELECT data, seen FROM ' . self::SERVICES . ' WHERE service_id = ?', [$serviceId]);
        return [
            'data' => $row ? (array) json_decode((string) $row['data'], true) : [],
            'seen' => $row ? (array) json_decode((string) $row['seen'], true) : [],
        ];
    }

    /** @param array<string, mixed> $data what is new; the rest stays */
    public function write(int $serviceId, array $data): void
    {
        $this->begin($serviceId);
        $sql = 'UPDATE ' . self::SERVICES . ' SET data = ? WHERE service_id = ?';
        for ($left = self::TRIES; $left > 0; $left--) {
            $row = $this->row('SELECT data FROM ' . self::SERVICES . ' WHERE service_id = ?', [$serviceId]);
            $before = (string) ($row['data'] ?? '');
            $text = self::json($data + (array) json_decode($before, true));
            // Whoever else wrote meanwhile is read once more: a page never undoes what a command has kept.
            if ($text === $before || $this->run("$sql AND data = ?", [$text, $serviceId, $before])->rowCount() === 1) {
                return;
            }
        }
        // Within a transaction of WHMCS what others wrote is not seen, however often it is read.
        $this->run($sql, [$text, $serviceId]);
    }

    /** @param array<string, mixed> $seen */
    public function keepSeen(int $serviceId, array $seen): void
    {
        $this->begin($serviceId);
        $this->run('UPDATE ' . self::SERVICES . ' SET seen = ? WHERE service_id = ?', [self::json($seen), $serviceId]);
    }

    public function forget(int $serviceId): void
    {
        $this->run('DELETE FROM ' . self::SERVICES . ' WHERE service_id = ?', [$serviceId]);
        $this->run('DELETE FROM ' . self::ASKED . ' WHERE service_id = ?', [$serviceId]);
        $this->run('DELETE FROM ' . self::LEAVING . ' WHERE service_id = ?', [$serviceId]);
    }

    // ------------------------------------------------------------ what was deleted here and is not ended in the panel yet

    public function leave(int $serviceId, int $serverRecord): void
    {
        $sql = 'INSERT INTO ' . self::LEAVING . " (service_id, server_id, tried_at, said) VALUES (?, ?, 0, '')";
        $this->added($sql, [$serviceId, $serverRecord]);
    }

    public function leavingSaid(int $serviceId, string $said): void
    {
        $sql = 'UPDATE ' . self::LEAVING . ' SET tried_at = ?, said = ? WHERE service_id = ?';
        $this->run($sql, [time(), $said, $serviceId]);
    }

    /**
     * Services that WHMCS has no more, and that are not known to be leaving. None where it has no service at all: then its table is
     * being restored rather than empty.
     *
     * @return array<int, int>
     */
    public function missing(int $atMost): array
    {
        $sql = 'SELECT s.service_id FROM ' . self::SERVICES . ' s LEFT JOIN tblhosting h ON h.id = s.service_id '
            . 'LEFT JOIN ' . self::LEAVING . ' l ON l.service_id = s.service_id WHERE h.id IS NULL AND l.service_id IS NULL '
            . "AND EXISTS (SELECT 1 FROM tblhosting) ORDER BY s.service_id LIMIT $atMost";
        return array_map('intval', array_column($this->rows($sql, []), 'service_id'));
    }

    /** @return array<int, array<string, mixed>> those that waited longest first */
    public function leaving(int $atMost): array
    {
        return $this->rows('SELECT * FROM ' . self::LEAVING . " ORDER BY tried_at, service_id LIMIT $atMost", []);
    }

    /** @return ?array<string, mixed> */
    public function leavingOne(int $serviceId): ?array
    {
        return $this->row('SELECT * FROM ' . self::LEAVING . ' WHERE service_id = ?', [$serviceId]);
    }

    // ------------------------------------------------------------ what was asked

    /** @return ?array{asked_key: string, body: string, operation: string, asked_at: int, settled_at: int} */
    public function asked(int $serviceId, string $deed): ?array
    {
        $sql = 'SELECT asked_key, body, operation, asked_at, settled_at FROM ' . self::ASKED
            . ' WHERE service_id = ? AND deed = ?';
        $row = $this->row($sql, [$serviceId, $deed]);
        if ($row === null) {
            return null;
        }
        return ['asked_at' => (int) $row['asked_at'], 'settled_at' => (int) $row['settled_at']] + $row;
    }

    /** Takes the place of the key that stood there (empty: of none). False when somebody else was first. */
    public function ask(int $serviceId, string $deed, string $former, string $key, string $body): bool
    {
        if ($former !== '') {
            $sql = 'UPDATE ' . self::ASKED . " SET asked_key = ?, body = ?, operation = '', asked_at = ?, settled_at = 0 "
                . 'WHERE service_id = ? AND deed = ? AND asked_key = ?';
            return $this->run($sql, [$key, $body, time(), $serviceId, $deed, $former])->rowCount() === 1;
        }
        $sql = 'INSERT INTO ' . self::ASKED . ' (service_id, deed, asked_key, body, operation, asked_at, settled_at) '
            . "VALUES (?, ?, ?, ?, '', ?, 0)";
        return $this->added($sql, [$serviceId, $deed, $key, $body, time()]);
    }

    public function remember(int $serviceId, string $key, string $operation, bool $settled): void
    {
        $sql = 'UPDATE ' . self::ASKED . ' SET operation = ?, settled_at = ? WHERE service_id = ? AND asked_key = ?';
        $this->run($sql, [$operation, $settled ? time() : 0, $serviceId, $key]);
    }

    /** @param array<int, string> $deeds */
    public function forgetSettled(int $serviceId, array $deeds): void
    {
        $marks = implode(', ', array_fill(0, count($deeds), '?'));
        $sql = 'DELETE FROM ' . self::ASKED . " WHERE service_id = ? AND settled_at > 0 AND deed IN ($marks)";
        $this->run($sql, array_merge([$serviceId], $deeds));
    }

    public function forgetAsked(int $serviceId, string $key): void
    {
        $this->run('DELETE FROM ' . self::ASKED . ' WHERE service_id = ? AND asked_key = ?', [$serviceId, $key]);
    }

    // ------------------------------------------------------------ who refuses this installation, as Settings::access names it

    public function isStopped(string $access): bool
    {
        return $this->row('SELECT since FROM ' . self::STOPPED . ' WHERE access = ?', [$access]) !== null;
    }

    public function stop(string $access): void
    {
        $this->added('INSERT INTO ' . self::STOPPED . ' (access, since) VALUES (?, ?)', [$access, time()]);
    }

    public function goOn(string $access): void
    {
        $this->run('DELETE FROM ' . self::STOPPED . ' WHERE access = ?', [$access]);
    }

    // ------------------------------------------------------------ custom fields of WHMCS

    /** Whoever made the field, the client's page does not show it. */
    public function keepFromClients(string $field): void
    {
        $sql = "UPDATE tblcustomfields SET adminonly = 'on' WHERE type = 'product' AND fieldname = ? AND adminonly <> 'on'";
        $this->run($sql, [$field]);
    }

    /** The field of the service's product: 0 where it has none of that name. */
    public function fieldOf(int $serviceId, string $field): int
    {
        $sql = 'SELECT f.id FROM tblcustomfields f JOIN tblhosting h ON h.packageid = f.relid '
            . "WHERE h.id = ? AND f.type = 'product' AND f.fieldname = ?";
        return (int) ($this->row($sql, [$serviceId, $field])['id'] ?? 0);
    }

    // ------------------------------------------------------------ SQL

    /**
     * @param array<int, mixed> $values
     * @return ?array<string, mixed>
     */
    public function row(string $sql, array $values): ?array
    {
        $rows = $this->run($sql, $values);
        $row = $rows->fetch(\PDO::FETCH_ASSOC);
        $rows->closeCursor();
        return $row === false ? null : $row;
    }

    /**
     * @param array<int, mixed> $values
     * @return array<int, array<string, mixed>>
     */
    public function rows(string $sql, array $values): array
    {
        return $this->run($sql, $values)->fetchAll(\PDO::FETCH_ASSOC);
    }

    /**
     * One statement for many rows, in one transaction.
     *
     * @param iterable<array<int, mixed>> $rows
     */
    public function many(string $sql, iterable $rows): void
    {
        $ours = !$this->pdo->inTransaction() && $this->pdo->beginTransaction();
        try {
            $prepared = $this->pdo->prepare($sql);
            foreach ($rows as $values) {
                $prepared->execute($values);
            }
            if ($ours) {
                $this->pdo->commit();
            }
        } catch (\Throwable $fault) {
            if ($ours) {
                $this->pdo->rollBack();
            }
            throw $fault;
        }
    }

    /** @param array<string, mixed> $value */
    private static function json(array $value): string
    {
        return (string) json_encode((object) $value, JSON_PARTIAL_OUTPUT_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
    }

    private function begin(int $serviceId): void
    {
        if ($this->row('SELECT service_id FROM ' . self::SERVICES . ' WHERE service_id = ?', [$serviceId]) === null) {
            $this->added('INSERT INTO ' . self::SERVICES . " (service_id, data, seen) VALUES (?, '{}', '{}')", [$serviceId]);
        }
    }

    /** @param array<int, mixed> $values */
    private function added(string $sql, array $values): bool
    {
        try {
            $this->run($sql, $values);
            return true;
        } catch (\PDOException $error) {
            if (strpos((string) $error->getCode(), '23') !== 0) {
                throw $error;
            }
            return false; // somebody else made it at the same moment
        }
    }

    /** @param array<int, mixed> $values */
    private function run(string $sql, array $values): \PDOStatement
    {
        try {
            return $this->ran($sql, $values);
        } catch (\PDOException $error) {
            // 42S02: MySQL has no such table.
            if ((string) $error->getCode() !== '42S02' && strpos($error->getMessage(), 'no such table') === false) {
                throw $error;
            }
            $this->make();
            return $this->ran($sql, $values);
        }
    }

    /** @param array<int, mixed> $values */
    private function ran(string $sql, array $values): \PDOStatement
    {
        $prepared = $this->pdo->prepare($sql);
        $prepared->execute($values);
        return $prepared;
    }

    private function make(): void
    {
        $tables = [
            self::SERVICES => 'service_id INTEGER NOT NULL PRIMARY KEY, data MEDIUMTEXT NOT NULL, seen MEDIUMTEXT NOT NULL',
            self::ASKED => 'service_id INTEGER NOT NULL, deed VARCHAR(32) NOT NULL, asked_key VARCHAR(80) NOT NULL, '
                . 'body TEXT NOT NULL, operation VARCHAR(64) NOT NULL, asked_at INTEGER NOT NULL, '
                . 'settled_at INTEGER NOT NULL, PRIMARY KEY (service_id, deed)',
            self::STOPPED => 'access VARCHAR(64) NOT NULL PRIMARY KEY, since INTEGER NOT NULL',
            self::LEAVING => 'service_id INTEGER NOT NULL PRIMARY KEY, server_id INTEGER NOT NULL, tried_at INTEGER NOT NULL, '
                . 'said TEXT NOT NULL',
        ];
        foreach ($tables as $name => $columns) {
            $this->pdo->exec("CREATE TABLE IF NOT EXISTS $name ($columns)");
        }
    }
}
