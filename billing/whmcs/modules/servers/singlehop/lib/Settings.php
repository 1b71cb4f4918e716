<?php

namespace WHMCS\Module\Server\Singlehop;

use Doublehop\Billing\Deadline;
use Doublehop\Billing\Http;
use Doublehop\Billing\Leap;
use Doublehop\Billing\Problem;

/** The five fields of a product, and the address beside the module. */
class Settings
{
    /** Seconds of everything that a page asks, together. */
    const PAGE_SECONDS = 5.0;
    /** Of everything that a command asks, its waiting included. */
    const COMMAND_SECONDS = 20.0;
    const MODULE = 'singlehop';

    /** The LEAP API with this product's login. Raises Problem where something is not set. */
    public static function leap(array $params, float $seconds): Leap
    {
        $login = [
            'user' => self::field($params, 1),
            'password' => self::field($params, 2),
            'key' => self::field($params, 5),
        ];
        if (in_array('', $login, true) || self::tandem($params) === '') {
            throw new Problem(Problem::LOGIN, 'Not all five fields are filled in.');
        }
        $secrets = array_values(array_filter([$login['password'], $login['key'], self::field($params, 4)], 'strlen'));
        $log = static function (string $command, $sent, $came) use ($secrets) {
            logModuleCall(self::MODULE, $command, $sent, $came, '', $secrets);
        };
        return new Leap(new Http(self::address()), $login, $log, new Deadline($seconds));
    }

    public static function tandem(array $params): string
    {
        return self::field($params, 3);
    }

    public static function address(): string
    {
        $file = dirname(__DIR__) . '/address.php';
        $address = is_file($file) ? require $file : '';
        if (!is_string($address) || trim($address) === '') {
            $text = 'The address of the LEAP API is not set: copy address.sample.php to address.php in modules/servers/singlehop.';
            throw new Problem(Problem::NOT_SENT, $text);
        }
        return trim($address);
    }

    private static function field(array $params, int $number): string
    {
        $value = $params["configoption$number"] ?? '';
        return is_string($value) ? trim($value) : '';
    }
}
