<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;
use Doublehop\Billing\Rest;

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
        return hash('sha256', implode("\n", ['whmcs', $computer, realpath($root) ?: $root, self::address()]));
    }

    /**
     * Whom the server record names. Raises Problem where this WHMCS was refused there as a copy: then nothing is sent.
     *
     * @param array<string, mixed> $params
     */
    public static function rest(array $params, float $seconds): Rest
    {
        if ((new Store())->isStopped(Settings::access($params))) {
            throw new Problem(Problem::NOT_SENT, self::STOPPED);
        }
        return Settings::rest($params, $seconds);
    }

    /**
     * The System URL, by which a copy on the same computer, or in a machine of the same name, is another one: without its own it
     * would lead clients to the original. With or without TLS is the same.
     */
    private static function address(): string
    {
        $row = (new Store())->row("SELECT value FROM tblconfiguration WHERE setting = 'SystemURL'", []);
        return rtrim(strtolower((string) preg_replace('#^[a-z]+://#i', '', trim((string) ($row['value'] ?? '')))), '/');
    }
}
