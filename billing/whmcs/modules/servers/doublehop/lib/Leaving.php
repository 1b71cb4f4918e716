<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/**
 * Services that were deleted in WHMCS: the mildest that ends them in the panel, too. What the panel did not take at that moment
 * is asked again at every cron until it is done, for nobody would look for a machine that no invoice names.
 */
class Leaving
{
    /** So many are asked again at one cron, those that waited longest first: a panel that hangs must not hold up the rest. */
    private const AT_ONCE = 3;

    /** @var Store */
    private $store;

    public function __construct(Store $store)
    {
        $this->store = $store;
    }

    public function deleted(int $serviceId): void
    {
        $data = $this->store->of($serviceId)['data'];
        if (!isset($data['service'])) {
            $this->store->forget($serviceId); // not a service of this module, or one that the panel never had
            return;
        }
        $record = (int) ($data['serverid'] ?? 0);
        $this->store->leave($serviceId, $record);
        $this->ended($serviceId, $record, '');
    }

    /** With those that nothing was said of: where a client or an order is deleted, services go without a word. */
    public function again(): void
    {
        foreach ($this->store->missing(self::AT_ONCE) as $serviceId) {
            $data = $this->store->of($serviceId)['data'];
            isset($data['service']) ? $this->store->leave($serviceId, (int) ($data['serverid'] ?? 0)) : $this->store->forget($serviceId);
        }
        foreach ($this->store->leaving(self::AT_ONCE) as $row) {
            $this->ended((int) $row['service_id'], (int) $row['server_id'], (string) $row['said']);
        }
    }

    /** Raises Problem where a deleted service had the same number, as old databases give it once more, and is not ended yet. */
    public function refuse(int $serviceId): void
    {
        $row = $this->store->leavingOne($serviceId);
        if ($row !== null && !$this->ended($serviceId, (int) $row['server_id'], (string) $row['said'])) {
            $text = "A service that was deleted here had the number $serviceId too, and the panel has not let go of it yet. Nothing was "
                . 'ordered. It is asked again at every cron; then press Create again.';
            throw new Problem(Problem::NOT_SENT, $text);
        }
    }

    private function ended(int $serviceId, int $serverRecord, string $before): bool
    {
        $params = ['serviceid' => $serviceId, 'configoption2' => Settings::RELEASE] + ServerRecord::params($serverRecord);
        $said = Guarded::command($params, 'gone');
        if ($said === 'success') {
            $this->store->forget($serviceId);
            Guarded::log('deleted here; the panel let go of its server.', $params);
            return true;
        }
        $this->store->leavingSaid($serviceId, $said);
        // References differ each time; the same trouble is told once.
        if (self::gist($said) !== self::gist($before)) {
            Guarded::log("deleted here, and still in the panel: it is asked again at every cron. $said", $params);
        }
        return false;
    }

    private static function gist(string $said): string
    {
        return (string) preg_replace('/ \([^()]*reference [^()]*\)/', '', $said);
    }
}
