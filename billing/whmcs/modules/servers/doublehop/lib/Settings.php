<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Deadline;
use Doublehop\Billing\Http;
use Doublehop\Billing\Problem;
use Doublehop\Billing\Rest;
use Doublehop\Billing\Signature;

/** What stands in the server record and in a product's Module Settings. */
class Settings
{
    public const MODULE = 'doublehop';
    /** Seconds of everything that a page asks, together. */
    public const PAGE_SECONDS = 5.0;
    /** Of everything that a command asks, its waiting included. */
    public const COMMAND_SECONDS = 20.0;
    /** Of a list of everything, asked by the cron or by the server sync. */
    public const BULK_SECONDS = 60.0;
    /** The custom field, for staff only, in which the service's number at the panel stands. */
    public const NUMBER_FIELD = 'Doublehop Service';

    public const RELEASE = 'release';
    public const ASK_CANCELLATION = 'ask_cancellation';
    public const BY_HAND = 'by_hand';
    public const USAGE_NONE = 'none';
    public const USAGE_OVERAGE = 'overage';
    public const USAGE_METRICS = 'metrics';
    public const OPTIONS_ASKED = 'asked';
    public const OPTIONS_NOTED = 'noted';
    /** So many signs of a token name it: dh_ and ten more. */
    private const NAMED_BY = 13;
    private const NOTE = 'An invoice is overdue. Your server is back as soon as it is paid.';

    /** @return array<string, array<string, mixed>> in the order of configoption1 and on */
    public static function options(): array
    {
        return [
            'product' => [
                'FriendlyName' => 'Product',
                'Type' => 'text',
                'Size' => '10',
                'Loader' => 'doublehop_LoadProducts',
                'SimpleMode' => true,
                'Description' => 'The product in your panel that is delivered',
            ],
            'termination' => [
                'FriendlyName' => 'Terminate',
                'Type' => 'dropdown',
                'Options' => [
                    self::RELEASE => 'ends the service; the server is free, and stays yours',
                    self::ASK_CANCELLATION => 'ends the service, and asks your supplier to take the server back',
                    self::BY_HAND => 'does nothing: staff end the service in the panel',
                ],
                'Default' => self::RELEASE,
                'SimpleMode' => true,
            ],
            'note' => [
                'FriendlyName' => 'Note to the client',
                'Type' => 'text',
                'Size' => '60',
                'Default' => self::NOTE,
                'Description' => 'What the client reads while the service is suspended',
                'SimpleMode' => true,
            ],
            'reboot' => [
                'FriendlyName' => 'Client may reboot',
                'Type' => 'yesno',
                'Description' => 'A button in the client area',
                'SimpleMode' => true,
            ],
            'power' => [
                'FriendlyName' => 'Client may switch on and off',
                'Type' => 'yesno',
                'Description' => 'Two buttons in the client area',
                'SimpleMode' => true,
            ],
            'usage' => [
                'FriendlyName' => 'Usage billing',
                'Type' => 'dropdown',
                'Options' => [
                    self::USAGE_NONE => 'none: traffic is shown, and billed nowhere in WHMCS',
                    self::USAGE_OVERAGE => 'overage billing: bandwidth fields of the service',
                    self::USAGE_METRICS => 'usage billing: metrics in, out, total and 95th percentile',
                ],
                'Default' => self::USAGE_NONE,
                'Description' => 'Never both, so nothing is billed twice',
                'SimpleMode' => true,
            ],
            'options' => [
                'FriendlyName' => 'Configurable options',
                'Type' => 'dropdown',
                'Options' => [
                    self::OPTIONS_ASKED => 'a person confirms them: Create and Change Package succeed at the press after that',
                    self::OPTIONS_NOTED => 'are only written into the activity log',
                ],
                'Default' => self::OPTIONS_ASKED,
                'Description' => 'The panel does not know them',
                'SimpleMode' => true,
            ],
        ];
    }

    /** @param array<string, mixed> $params */
    public static function product(array $params): int
    {
        $number = self::field($params, 1);
        if (preg_match('/^[1-9][0-9]{0,17}$/', $number) !== 1) {
            $text = 'No product is chosen under Module Settings of this product. Nothing was sent.';
            throw new Problem(Problem::NOT_SENT, $text);
        }
        return (int) $number;
    }

    /** @param array<string, mixed> $params */
    public static function termination(array $params): string
    {
        $chosen = self::field($params, 2);
        return in_array($chosen, [self::ASK_CANCELLATION, self::BY_HAND], true) ? $chosen : self::RELEASE;
    }

    /** @param array<string, mixed> $params */
    public static function note(array $params): string
    {
        $note = self::field($params, 3);
        return mb_substr($note !== '' ? $note : self::NOTE, 0, 300);
    }

    /** @param array<string, mixed> $params */
    public static function clientMay(array $params, string $kind): bool
    {
        return self::field($params, $kind === 'reboot' ? 4 : 5) === 'on';
    }

    /** @param array<string, mixed> $params */
    public static function optionsAreAsked(array $params): bool
    {
        return self::field($params, 7) !== self::OPTIONS_NOTED;
    }

    /** @param array<string, mixed> $params */
    public static function rest(array $params, float $seconds): Rest
    {
        $token = self::token($params);
        $signature = new Signature($token, Installation::fingerprint());
        $signed = static function (string $method, string $path, string $body) use ($signature): array {
            return $signature->headers($method, $path, $body);
        };
        $secrets = [$token, substr($token, -40)];
        $log = static function (string $what, $sent, $came) use ($secrets) {
            logModuleCall(self::MODULE, $what, $sent, $came, '', $secrets);
        };
        return new Rest(new Http(self::address($params)), $signed, $log, new Deadline($seconds));
    }

    /**
     * The address without a slash at its end, as in https://panel.example.net:8443.
     *
     * @param array<string, mixed> $params
     */
    public static function address(array $params): string
    {
        $host = self::text($params, 'serverhostname') ?: self::text($params, 'serverip');
        if (preg_match('/^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/i', $host, $parts) !== 1) {
            $text = 'The server record holds no hostname, or the product has no server. Nothing was sent.';
            throw new Problem(Problem::NOT_SENT, $text);
        }
        $secure = !empty($params['serversecure']);
        $port = self::text($params, 'serverport');
        if (isset($parts[2]) || preg_match('/^\d{1,5}$/', $port) !== 1 || $port === ($secure ? '443' : '80')) {
            $port = '';
        }
        return ($secure ? 'https://' : 'http://') . $host . ($port !== '' ? ":$port" : '');
    }

    /**
     * Whom this WHMCS asks, and as whom: the host and the token's name, and nothing of its secret. Test Connection need not know
     * the number of the server record, and two records may hold the same token.
     *
     * @param array<string, mixed> $params
     */
    public static function access(array $params): string
    {
        $host = self::text($params, 'serverhostname') ?: self::text($params, 'serverip');
        return hash('sha256', strtolower($host) . "\n" . substr(self::token($params), 0, self::NAMED_BY));
    }

    /** @param array<string, mixed> $params */
    private static function token(array $params): string
    {
        $hash = self::text($params, 'serveraccesshash');
        return $hash !== '' ? $hash : self::text($params, 'serverpassword');
    }

    /** @param array<string, mixed> $params */
    private static function field(array $params, int $number): string
    {
        return self::text($params, "configoption$number");
    }

    /**
     * A text as people wrote it: WHMCS keeps much of what they type with HTML entities, O&#039;Neill for O'Neill.
     *
     * @param array<string, mixed> $params
     */
    public static function text(array $params, string $name): string
    {
        $value = $params[$name] ?? '';
        return is_string($value) || is_int($value) ? trim(html_entity_decode((string) $value, ENT_QUOTES | ENT_HTML5, 'UTF-8')) : '';
    }
}
