<?php

namespace WHMCS\Module\Server\Doublehop;

/** The service's own fields in WHMCS, its activity log, and how things are written. */
class Fields
{
    /**
     * Fills in what is known, and leaves alone what is not.
     *
     * @param array{number?: string, hostname?: string, username?: string, address?: string, addresses?: array<int, string>} $found
     *     `none`: the service has no server any more, and what was the server's is emptied
     */
    public static function fill(int $serviceId, array $found): void
    {
        $values = ['serviceid' => $serviceId];
        if (!empty($found['none'])) {
            $values['unset'] = ['serviceusername', 'dedicatedip', 'assignedips'];
        }
        $number = (string) ($found['number'] ?? '');
        $field = $number !== '' ? (new Store())->fieldOf($serviceId, Settings::NUMBER_FIELD) : 0;
        if ($field > 0) {
            $values['customfields'] = base64_encode(serialize([$field => $number]));
        }
        $names = ['hostname' => 'domain', 'username' => 'serviceusername', 'address' => 'dedicatedip'];
        foreach ($names as $ours => $theirs) {
            if (is_string($found[$ours] ?? null) && $found[$ours] !== '') {
                $values[$theirs] = $found[$ours];
            }
        }
        if (!empty($found['addresses'])) {
            $values['assignedips'] = implode("\n", $found['addresses']);
        }
        if (count($values) === 1) {
            return;
        }
        $answer = localAPI('UpdateClientProduct', $values);
        if (($answer['result'] ?? '') !== 'success') {
            self::note("Doublehop: the fields of service $serviceId could not be filled in.");
        }
    }

    public static function note(string $text, int $clientId = 0): void
    {
        logActivity($text, $clientId);
    }

    /** @param mixed $value */
    public static function escaped($value): string
    {
        return htmlspecialchars(is_scalar($value) ? (string) $value : '', ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
    }

    public static function moment(int $unix): string
    {
        return gmdate('Y-m-d H:i', $unix) . ' UTC';
    }

    /** @param mixed $text of ISO 8601 */
    public static function time($text): string
    {
        $unix = is_string($text) ? strtotime($text) : false;
        return $unix === false ? '' : self::moment($unix);
    }

    /** What is said of a thing whose word is a code: power_off becomes Power off. */
    public static function words(string $code): string
    {
        return ucfirst(str_replace('_', ' ', $code));
    }
}
