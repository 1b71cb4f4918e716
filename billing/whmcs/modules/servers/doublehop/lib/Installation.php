<?php

namespace WHMCS\Module\Server\Doublehop;

/**
 * Which WHMCS this is. A copy of it, put up elsewhere with the same database, has another fingerprint; the panel refuses it
 * until a person there accepts it. From the first refusal on nothing is sent any more.
 */
class Installation
{
    public const STOPPED = 'This WHMCS was refused as a copy of another one. Nothing was sent. If it is the right one, accept it at '
        . 'the API token in the panel, then press Test Connection in the server record.';
    /** A text of one's own, for a WHMCS that runs on several hosts: `return 'our-whmcs';` */
    private const FILE = 'installation.php';

    /** 64 hexadecimal digits; nothing of what it is made of can be read from it. */
    public static function fingerprint(): string
    {
        $file = dirname(__DIR__) . '/' . self::FILE;
        $own = is_file($file) ? require $file : '';
        if (is_string($own) && trim($own) !== '') {
            return hash('sha256', 'own ' . trim($own));
        }
        $root = defined('ROOTDIR') ? (string) ROOTDIR : dirname(__DIR__, 4);
        $computer = function_exists('php_uname') ? php_uname('n') : '';
        return hash('sha256', implode("\n", ['whmcs', $computer, realpath($root) ?: $root]));
    }

    /**
     * For hooks, which nobody sees the text of.
     *
     * @param array<string, mixed> $params
     */
    public static function stops(array $params): bool
    {
        $stopped = (new Store())->isStopped(Settings::access($params));
        if ($stopped) {
            Guarded::log(self::STOPPED, $params);
        }
        return $stopped;
    }
}
