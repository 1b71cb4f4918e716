<?php

namespace StandIn;

/** The daily cron in its documented order: suspensions, terminations, UsageUpdate, and the hook after all. Days are counted from the given date. */
class Cron
{
    const SUSPEND_AFTER_DAYS = 5;
    const TERMINATE_AFTER_DAYS = 30;

    public function __construct(private Host $host)
    {
    }

    public function run(string $date): array
    {
        $done = [];
        foreach ($this->overdue($date, self::SUSPEND_AFTER_DAYS, "'Active'") as $id) {
            $this->host->store->change('tblhosting', $id, ['suspendreason' => 'Overdue on Payment']);
            $done[] = ['SuspendAccount', $id, $this->host->command($id, 'SuspendAccount', true)];
        }
        foreach ($this->overdue($date, self::TERMINATE_AFTER_DAYS, "'Active', 'Suspended'") as $id) {
            $done[] = ['TerminateAccount', $id, $this->host->command($id, 'TerminateAccount', true)];
        }
        foreach ($this->host->store->rows('SELECT * FROM tblservers WHERE disabled = 0') as $server) {
            if ($this->host->modules->has($server['type'], 'UsageUpdate')) {
                $this->host->modules->call($server['type'], 'UsageUpdate', $this->host->modules->serverParams($server));
                $done[] = ['UsageUpdate', (int) $server['id'], ''];
            }
        }
        $this->host->runHooks('AfterCronJob', []);
        return $done;
    }

    private function overdue(string $date, int $days, string $states): array
    {
        $sql = "SELECT id FROM tblhosting WHERE paid = 0 AND domainstatus IN ($states) AND date(nextduedate, '+$days days') <= ? ORDER BY id";
        return array_map('intval', array_column($this->host->store->rows($sql, [$date]), 'id'));
    }
}
