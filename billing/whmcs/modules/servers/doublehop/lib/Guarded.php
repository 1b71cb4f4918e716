<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;
use Doublehop\Billing\Rest;

/**
 * No fault leaves the module: a command answers with a text, a page with something that can be drawn. Staff read what
 * happened, clients only that something did; both read the same reference.
 */
class Guarded
{
    private const SIGNS = '23456789ABCDEFGHJKMNPQRSTVWXYZ';

    /**
     * @param array<string, mixed> $params
     * @param string $command a method of Commands
     */
    public static function command(array $params, string $command): string
    {
        try {
            $said = (new Commands($params))->$command();
        } catch (Problem $problem) {
            $said = self::told($problem, $params);
        } catch (\Throwable $fault) {
            $said = self::fault($fault, $params);
        }
        return $said;
    }

    /**
     * What a client pressed on the page of the service: a form that was sent, confirmed, and is allowed by the product. Any text
     * but 'success' stands in red as a failure, and unescaped; what is under way is a page of its own.
     *
     * @param array<string, mixed> $params
     * @return string|array<string, mixed>
     */
    public static function ofClient(array $params, string $function)
    {
        $kind = Commands::OF_CLIENTS[$function];
        $posted = ($_SERVER['REQUEST_METHOD'] ?? '') === 'POST' && ($_POST['confirmed'] ?? '') === 'yes';
        if (!$posted || !Settings::clientMay($params, $kind)) {
            return 'This is not available here. Nothing was done.';
        }
        if (!function_exists('check_token')) {
            return 'This is not available here. Nothing was done.';
        }
        check_token(); // of WHMCS: the page ends here where the form is not one of this client's session
        $reference = self::reference();
        try {
            $operation = (new Commands($params))->ofClient($kind);
            if ($operation['state'] === 'done') {
                return 'success';
            }
            $reference = preg_match(Rest::QUOTABLE, $operation['reference']) === 1 ? $operation['reference'] : $reference;
            self::log("the client pressed $function: {$operation['state']} (reference $reference)", $params);
            return in_array($operation['state'], ['queued', 'running', 'held'], true)
                ? ClientPage::underWay((int) $params['serviceid'], $reference)
                : "It could not be confirmed. Please contact support (reference $reference).";
        } catch (Problem $problem) {
            $reference = $problem->reference ?: $reference;
            self::log(self::told($problem, $params) . self::quoted($problem, $reference), $params);
            $said = $problem->kind === Problem::UNKNOWN ? 'It is not known yet whether this was done.' : 'Nothing was done.';
            return "This did not work at the moment. $said Please try again later, or contact support (reference $reference).";
        } catch (\Throwable $fault) {
            self::fault($fault, $params, $reference);
            return "This did not work at the moment. Please contact support (reference $reference).";
        }
    }

    /**
     * @param array<string, mixed> $params
     * @param callable(): array<string, mixed> $run
     * @param array<string, mixed> $otherwise
     * @return array<string, mixed>
     */
    public static function page(array $params, callable $run, array $otherwise): array
    {
        try {
            return $run();
        } catch (\Throwable $fault) {
            self::fault($fault, $params);
            return $otherwise;
        }
    }

    /** @param array<string, mixed> $params */
    public static function told(Problem $problem, array $params): string
    {
        $text = rtrim($problem->getMessage(), ' .') . '.';
        $quoted = $problem->reference !== '' ? " (reference $problem->reference)" : '';
        switch ($problem->kind) {
            case Problem::COPY:
                (new Store())->stop(Settings::access($params));
                return "Stopped: $text Nothing was sent, and nothing more is sent from here until it is accepted in the panel and Test "
                    . "Connection succeeds.$quoted";
            case Problem::LOGIN:
                return "The token was not accepted: $text Nothing was done. Check the server record.$quoted";
            case Problem::REFUSED:
            case Problem::NO_COMMAND:
                return "Refused: $text Nothing was done.$quoted";
            case Problem::UNKNOWN:
                return "$text It is not known whether anything was done. Pressing again asks for the same thing, and it is done "
                    . "once.$quoted";
            default:
                return $text . $quoted;
        }
    }

    /** What people quote: two times three signs that cannot be mistaken. */
    public static function reference(): string
    {
        $signs = '';
        for ($place = 0; $place < 6; $place++) {
            $signs .= self::SIGNS[random_int(0, strlen(self::SIGNS) - 1)];
        }
        return substr($signs, 0, 3) . '-' . substr($signs, 3);
    }

    /** @param array<string, mixed> $params */
    public static function log(string $text, array $params): void
    {
        $service = (int) ($params['serviceid'] ?? 0);
        Fields::note("Doublehop, service $service: $text", (int) ($params['userid'] ?? 0));
    }

    public static function quoted(Problem $problem, string $reference): string
    {
        return $problem->reference === '' ? " (reference $reference)" : '';
    }

    /**
     * Where it broke, and nothing of what was being handled: that may hold secrets.
     *
     * @param array<string, mixed> $params
     */
    private static function fault(\Throwable $fault, array $params, string $reference = ''): string
    {
        $where = get_class($fault) . ' at ' . basename($fault->getFile()) . ':' . $fault->getLine();
        $reference = $reference ?: self::reference();
        try {
            self::log("the module failed ($where, reference $reference)", $params);
        } catch (\Throwable $again) {
            unset($again); // the text below still reaches whoever pressed
        }
        return "The module failed ($where, reference $reference). Look at the service before you press again.";
    }
}
