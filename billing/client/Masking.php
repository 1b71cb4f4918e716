<?php

namespace Doublehop\Billing;

/** Takes secrets out of what is logged, by the names under which they stand, in members and in addresses. */
class Masking
{
    const MASK = '********';
    const NAMES = '/pass|secret|token|(api|private|access)[-_ ]?(key|hash)|^key$|^pin$|^auth|cookie|credential|signature|url$/i';
    /** In an address that stands within a text: a login, and values of members with a secret name. */
    const LOGIN = '#(\b[a-z][a-z0-9+.-]*://)[^\s/?\#@]*@#i';
    const MEMBER = '/([?&][^=&\s]*(?:pass|secret|token|key|pin|auth|credential|signature|sig)[^=&\s]*=)[^&\s\#"\'<>]+/i';
    const DEEPEST = 12;

    /**
     * @param mixed $value
     * @return mixed the same with every member of a secret name masked
     */
    public static function of($value, int $depth = 0)
    {
        if (is_string($value)) {
            $masked = preg_replace([self::LOGIN, self::MEMBER], ['$1' . self::MASK . '@', '$1' . self::MASK], $value);
            return $masked ?? self::MASK;
        }
        if (!is_array($value)) {
            return $value;
        }
        if ($depth >= self::DEEPEST) {
            return self::MASK;
        }
        $found = [];
        foreach ($value as $name => $inside) {
            $secret = is_string($name) && preg_match(self::NAMES, $name) === 1;
            $found[$name] = $secret ? self::MASK : self::of($inside, $depth + 1);
        }
        return $found;
    }
}
