<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/**
 * Bandwidth of all services of a server record, by one list for all of them. Only figures are written: the status of a
 * service is nothing that usage decides.
 */
class Usage
{
    public const AT_ONCE = 10000;

    /** @var array<string, mixed> */
    private $params;

    /** @param array<string, mixed> $params */
    public function __construct(array $params)
    {
        $this->params = $params;
    }

    public function update(): void
    {
        $store = new Store();
        $wanted = self::services($store, (int) ($this->params['serverid'] ?? 0), Settings::USAGE_OVERAGE);
        if (!$wanted) {
            return;
        }
        $now = date('Y-m-d H:i:s');
        $rows = [];
        try {
            foreach (self::figures($this->params, Settings::BULK_SECONDS) as $reference => $usage) {
                if (isset($wanted[$reference])) {
                    $limit = Figures::megabytes($usage['included_octets'] ?? 0);
                    $rows[] = [Figures::megabytes($usage['octets_total'] ?? 0), $limit, $now, $reference];
                }
            }
        } catch (Problem $problem) {
            Fields::note('Doublehop: usage was not updated. ' . Guarded::told($problem, $this->params));
            return;
        }
        $store->many('UPDATE tblhosting SET bwusage = ?, bwlimit = ?, lastupdate = ? WHERE id = ?', $rows);
        $absent = count($wanted) - count($rows);
        if ($absent > 0) {
            Fields::note("Doublehop: usage of $absent services is not known to the panel. Their figures stay as they were.");
        }
    }

    /**
     * @param array<string, mixed> $params
     * @return array<int, array<string, mixed>> by the service's number in WHMCS
     */
    public static function figures(array $params, float $seconds): array
    {
        $found = [];
        $rest = Installation::rest($params, $seconds);
        foreach ($rest->all('/usage', ['limit' => self::AT_ONCE]) as $usage) {
            $reference = (string) ($usage['billing_reference'] ?? '');
            if (preg_match('/^[1-9][0-9]{0,17}$/', $reference) === 1) {
                $found[(int) $reference] = $usage;
            }
        }
        return $found;
    }

    /** @return array<int, string> number at the panel by service, of those that are billed in this way */
    public static function services(Store $store, int $serverRecord, string $way): array
    {
        $sql = 'SELECT h.id, v.value FROM tblhosting h JOIN tblproducts p ON p.id = h.packageid '
            . "LEFT JOIN tblcustomfields f ON f.type = 'product' AND f.relid = p.id AND f.fieldname = ? "
            . 'LEFT JOIN tblcustomfieldsvalues v ON v.fieldid = f.id AND v.relid = h.id '
            . "WHERE h.server = ? AND p.servertype = ? AND p.configoption6 = ? AND h.domainstatus IN ('Active', 'Suspended')";
        $found = [];
        foreach ($store->rows($sql, [Settings::NUMBER_FIELD, $serverRecord, Settings::MODULE, $way]) as $row) {
            $found[(int) $row['id']] = (string) $row['value'];
        }
        return $found;
    }
}
