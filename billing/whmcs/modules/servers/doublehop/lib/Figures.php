<?php

namespace WHMCS\Module\Server\Doublehop;

/** Octets in other units. The panel counts octets; WHMCS bills 1 GB as 1,024 MB; people read decimal GB. */
class Figures
{
    /** WHMCS's MB: 1 GB = 1,024 MB, so 1 MB = 1,048,576 octets. */
    public const MB = 1048576;
    /** The unit of WHMCS's metric GigaBytes. */
    public const GB = 1073741824;

    /** Whole MB as in tblhosting, rounded to the nearest. @param mixed $octets */
    public static function megabytes($octets): int
    {
        return (int) round(self::octets($octets) / self::MB);
    }

    /** @param mixed $octets */
    public static function gigabytes($octets): float
    {
        return round(self::octets($octets) / self::GB, 4);
    }

    /** Megabits per second. @param mixed $bps */
    public static function megabits($bps): float
    {
        return round(self::octets($bps) / 1e6, 3);
    }

    /** For people, in decimal units. @param mixed $octets */
    public static function size($octets): string
    {
        $value = self::octets($octets);
        foreach (['PB' => 1e15, 'TB' => 1e12, 'GB' => 1e9, 'MB' => 1e6] as $unit => $factor) {
            if ($value >= $factor) {
                return number_format($value / $factor, 2) . " $unit";
            }
        }
        return number_format($value / 1e3, 1) . ' kB';
    }

    /** @param mixed $bps */
    public static function rate($bps): string
    {
        $value = self::octets($bps);
        foreach (['Gbit/s' => 1e9, 'Mbit/s' => 1e6] as $unit => $factor) {
            if ($value >= $factor) {
                return number_format($value / $factor, 2) . " $unit";
            }
        }
        return number_format($value / 1e3, 1) . ' kbit/s';
    }

    /**
     * How much of what is included is used; empty where nothing is.
     *
     * @param array<string, mixed> $usage
     */
    public static function share(array $usage): string
    {
        $included = self::octets($usage['included'] ?? 0) > 0 && is_numeric($usage['share_percent'] ?? null);
        return $included ? round((float) $usage['share_percent'], 1) . ' %' : '';
    }

    /** @param mixed $value */
    private static function octets($value): float
    {
        return is_int($value) || is_float($value) || (is_string($value) && is_numeric($value)) ? max(0.0, (float) $value) : 0.0;
    }
}
