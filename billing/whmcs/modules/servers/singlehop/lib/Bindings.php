<?php

namespace WHMCS\Module\Server\Singlehop;

use WHMCS\Database\Capsule;

/**
 * Which server a service holds: a table of our own, so that nobody can edit it by hand into another machine, and the
 * database itself refuses one server in two services.
 *
 * `data` is what was decided and asked, `seen` what pages may show while the provider does not answer.
 */
class Bindings
{
    const TABLE = 'mod_singlehop';
    /** As long may one command hold its service; after that it counts as dead. */
    const BUSY_SECONDS = 60;

    /** @var \PDO */
    private $pdo;

    public function __construct()
    {
        $this->pdo = Capsule::connection()->getPdo();
    }

    /** @return array{server_id: string, data: array<string, mixed>, seen: array<string, mixed>} */
    public function of(int $serviceId): array
    {
        $rows = $this->run('SELECT server_id, data, seen FROM ' . self::TABLE . ' WHERE service_id = ?', [$serviceId]);
        $row = $rows->fetch(\PDO::FETCH_ASSOC);
        $rows->closeCursor();
        return [
            'server_id' => $row ? (string) $row['server_id'] : '',
            'data' => $row ? (array) json_decode($row['data'], true) : [],
            'seen' => $row ? (array) json_decode($row['seen'], true) : [],
        ];
    }

    /** @return array<string, int> service by server, of all that are attached */
    public function attached(): array
    {
        $rows = $this->run('SELECT server_id, service_id FROM ' . self::TABLE . ' WHERE server_id IS NOT NULL', []);
        return array_map('intval', $rows->fetchAll(\PDO::FETCH_KEY_PAIR));
    }

    /**
     * @param array<string, mixed> $data
     * @return bool false when another service holds the server
     */
    public function attach(int $serviceId, string $serverId, array $data): bool
    {
        $this->make($serviceId);
        $set = 'UPDATE ' . self::TABLE . ' SET server_id = ?, data = ?, seen = ? WHERE service_id = ?';
        try {
            $this->run($set, [$serverId, json_encode($data), '{}', $serviceId]);
        } catch (\PDOException $error) {
            if (strpos((string) $error->getCode(), '23') === 0) {
                return false;
            }
            throw $error;
        }
        return true;
    }

    /** @param array<string, mixed> $data what is still said about the service */
    public function release(int $serviceId, array $data = []): void
    {
        $set = 'UPDATE ' . self::TABLE . " SET server_id = NULL, data = ?, seen = '{}' WHERE service_id = ?";
        $this->run($set, [json_encode((object) $data), $serviceId]);
    }

    public function forget(int $serviceId): void
    {
        $this->run('DELETE FROM ' . self::TABLE . ' WHERE service_id = ?', [$serviceId]);
    }

    /**
     * Services that WHMCS has no more. None where it has no service at all: then its table is being restored rather than empty.
     *
     * @return array<int, int>
     */
    public function missing(int $atMost): array
    {
        $sql = 'SELECT s.service_id FROM ' . self::TABLE . ' s LEFT JOIN tblhosting h ON h.id = s.service_id WHERE h.id IS NULL '
            . "AND EXISTS (SELECT 1 FROM tblhosting) ORDER BY s.service_id LIMIT $atMost";
        return array_map('intval', $this->run($sql, [])->fetchAll(\PDO::FETCH_COLUMN));
    }

    /** @param array<string, mixed> $data */
    public function write(int $serviceId, array $data): void
    {
        $this->make($serviceId);
        $set = 'UPDATE ' . self::TABLE . ' SET data = ? WHERE service_id = ?';
        $this->run($set, [json_encode((object) $data), $serviceId]);
    }

    /** @param array<string, mixed> $seen */
    public function keepSeen(int $serviceId, array $seen): void
    {
        $set = 'UPDATE ' . self::TABLE . ' SET seen = ? WHERE service_id = ?';
        $this->run($set, [json_encode((object) $seen), $serviceId]);
    }

    /** One command at a time for each service: false when another one is under way. */
    public function take(int $serviceId): bool
    {
        $this->make($serviceId);
        $set = 'UPDATE ' . self::TABLE . ' SET busy_until = ? WHERE service_id = ? AND busy_until < ?';
        return $this->run($set, [time() + self::BUSY_SECONDS, $serviceId, time()])->rowCount() === 1;
    }

    public function giveBack(int $serviceId): void
    {
        $this->run('UPDATE ' . self::TABLE . ' SET busy_until = 0 WHERE service_id = ?', [$serviceId]);
    }

    private function make(int $serviceId): void
    {
        $there = $this->run('SELECT 1 FROM ' . self::TABLE . ' WHERE service_id = ?', [$serviceId]);
        $found = $there->fetchColumn();
        $there->closeCursor();
        if ($found !== false) {
            return;
        }
        try {
            $add = 'INSERT INTO ' . self::TABLE . " (service_id, server_id, busy_until, data, seen) VALUES (?, NULL, 0, '{}', '{}')";
            $this->run($add, [$serviceId]);
        } catch (\PDOException $error) {
            if (strpos((string) $error->getCode(), '23') !== 0) {
                throw $error;
            }
            // Somebody else made it at the same moment.
        }
    }

    /**
     * Makes the table where it is not there, and only then: on MySQL that ends a transaction of whoever is about to save something.
     *
     * @param array<int, mixed> $values
     */
    private function run(string $statement, array $values): \PDOStatement
    {
        try {
            return $this->ran($statement, $values);
        } catch (\PDOException $error) {
            // 42S02: MySQL has no such table.
            if ((string) $error->getCode() !== '42S02' && strpos($error->getMessage(), 'no such table') === false) {
                throw $error;
            }
            $this->pdo->exec(
                'CREATE TABLE IF NOT EXISTS ' . self::TABLE . ' (service_id INTEGER NOT NULL PRIMARY KEY, '
                . 'server_id VARCHAR(64) NULL UNIQUE, busy_until INTEGER NOT NULL, data TEXT NOT NULL, seen TEXT NOT NULL)'
            );
            return $this->ran($statement, $values);
        }
    }

    /** @param array<int, mixed> $values */
    private function ran(string $statement, array $values): \PDOStatement
    {
        $prepared = $this->pdo->prepare($statement);
        $prepared->execute($values);
        return $prepared;
    }
}
