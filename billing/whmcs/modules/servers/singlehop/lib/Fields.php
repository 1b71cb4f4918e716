<?php

namespace WHMCS\Module\Server\Singlehop;

/** The service's own fields in WHMCS, and its activity log. */
class Fields
{
    /** @param array{hostname?: string, username?: string, address?: string, addresses?: array<int, string>} $found */
    public static function fill(int $serviceId, array $found): void
    {
        $values = ['serviceid' => $serviceId];
        foreach (['hostname' => 'domain', 'username' => 'serviceusername', 'address' => 'dedicatedip'] as $ours => $theirs) {
            if (($found[$ours] ?? '') !== '') {
                $values[$theirs] = $found[$ours];
            }
        }
        if (isset($found['addresses'])) {
            $values['assignedips'] = implode("\n", $found['addresses']);
        }
        $answer = localAPI('UpdateClientProduct', $values);
        if (($answer['result'] ?? '') !== 'success') {
            self::note("Singlehop: the fields of service $serviceId could not be filled in.");
        }
    }

    public static function note(string $text, int $clientId = 0): void
    {
        logActivity($text, $clientId);
    }

    /** @param mixed $value */
    public static function escaped($value): string
    {
        return htmlspecialchars((string) $value, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
    }

    public static function moment(int $unix): string
    {
        return gmdate('Y-m-d H:i:s', $unix) . ' UTC';
    }
}
