<?php

namespace WHMCS\Module\Server\Singlehop;

use Doublehop\Billing\Problem;

/** No fault leaves the module: a command answers with a text for staff, a page with something that can be drawn. */
class Guarded
{
    /** @param callable(Commands): string $run */
    public static function command(array $params, callable $run): string
    {
        $serviceId = (int) ($params['serviceid'] ?? 0);
        if ($serviceId <= 0) {
            return 'There is no such service. Nothing was sent.';
        }
        $bindings = null;
        try {
            $all = new Bindings();
            if (!$all->take($serviceId)) {
                return 'Another command for this service is being carried out. Nothing was sent; wait until it has ended.';
            }
            $bindings = $all;
            return $run(new Commands($params, $bindings));
        } catch (Problem $problem) {
            return self::told($problem);
        } catch (\Throwable $fault) {
            return self::fault($fault, $params);
        } finally {
            if ($bindings !== null) {
                $bindings->giveBack($serviceId);
            }
        }
    }

    /**
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

    public static function told(Problem $problem): string
    {
        if ($problem->kind === Problem::LOGIN) {
            return 'API Error: Authentication Error. ' . self::ended($problem->getMessage())
                . ' Nothing was sent. Check the five fields under Module Settings of the product.';
        }
        if (in_array($problem->kind, [Problem::REFUSED, Problem::NO_COMMAND], true)) {
            return 'The provider refused: ' . self::ended($problem->getMessage()) . ' Nothing was done.';
        }
        if ($problem->kind === Problem::UNKNOWN) {
            return self::ended($problem->getMessage()) . ' It is not known whether anything was done.';
        }
        return self::ended($problem->getMessage());
    }

    private static function ended(string $text): string
    {
        return rtrim($text, " .") . '.';
    }

    /** Where it broke, and nothing of what was being handled: that may hold secrets. */
    private static function fault(\Throwable $fault, array $params): string
    {
        $where = get_class($fault) . ' at ' . basename($fault->getFile()) . ':' . $fault->getLine();
        try {
            Fields::note("Singlehop: the module failed ($where)", (int) ($params['userid'] ?? 0));
        } catch (\Throwable $again) {
            unset($again); // the text below still reaches whoever pressed
        }
        return "The module failed ($where). Look at the service before you press again.";
    }
}
