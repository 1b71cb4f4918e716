<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/** Whether the server record is right, and what it offers. */
class Checkup
{
    private const SCOPES = ['read', 'operate', 'billing'];
    private const MOST_SKEW_SECONDS = 120;
    private const SOON_SECONDS = 14 * 86400;

    /** @var array<string, mixed> */
    private $params;

    /** @param array<string, mixed> $params */
    public function __construct(array $params)
    {
        $known = !empty($params['serverhostname']) || !empty($params['serverip']);
        $this->params = $known ? $params : ServerRecord::params((int) ($params['serverid'] ?? 0)) + $params;
    }

    /** @return array{success: bool, error: string} */
    public function connection(): array
    {
        try {
            $me = Settings::rest($this->params, Settings::PAGE_SECONDS)->get('/me');
            // Whoever is answered is accepted, whatever else the token lacks.
            (new Store())->goOn(Settings::access($this->params));
            $gaps = self::gaps($me);
            if (!$gaps) {
                Fields::note('Doublehop: connection tested. Panel version ' . self::word($me, 'version') . ', organisation '
                    . self::word($me, 'organisation') . ', clocks ' . self::skew($me) . ' s apart.' . self::soon($me));
            }
            return ['success' => !$gaps, 'error' => implode(' ', $gaps)];
        } catch (Problem $problem) {
            return ['success' => false, 'error' => Guarded::told($problem, $this->params)];
        } catch (\Throwable $fault) {
            $where = basename($fault->getFile()) . ':' . $fault->getLine();
            return ['success' => false, 'error' => 'The module failed (' . get_class($fault) . " at $where)."];
        }
    }

    /** @return array<string, string> label by number. Raises an exception with a text for staff. */
    public function products(): array
    {
        try {
            $found = [];
            $rest = Installation::rest($this->params, Settings::PAGE_SECONDS);
            foreach ($rest->all('/products', ['limit' => 200]) as $product) {
                $price = self::word($product, 'price') . ' ' . self::word($product, 'currency');
                $filled = self::word($product, 'server_group') !== '' ? 'filled from a pool' : 'waits for staff';
                $found[self::word($product, 'id')] = self::word($product, 'name') . ' · ' . trim($price) . " · $filled";
            }
        } catch (Problem $problem) {
            throw new \Exception(Guarded::told($problem, $this->params));
        }
        if (!$found) {
            throw new \Exception('The panel has no product yet. Make one there: Products > New product.');
        }
        return $found;
    }

    /**
     * What does not work. WHMCS knows success or an error only: what still works and will not for long is in the activity log.
     *
     * @param array<int|string, mixed> $me
     * @return array<int, string>
     */
    private static function gaps(array $me): array
    {
        $gaps = [];
        if (self::word($me, 'kind') !== 'program') {
            $gaps[] = 'The token is of a client. Make one of a billing system.';
        } elseif (self::word($me, 'billing_system') === '') {
            $gaps[] = 'The token belongs to no billing system. Make one with the name of this WHMCS as its billing system.';
        }
        $missing = array_diff(self::SCOPES, is_array($me['scopes'] ?? null) ? $me['scopes'] : []);
        if ($missing) {
            $gaps[] = 'The token has not the scopes: ' . implode(', ', $missing) . '.';
        }
        return $gaps;
    }

    /** @param array<int|string, mixed> $me */
    private static function soon(array $me): string
    {
        $soon = abs(self::skew($me)) > self::MOST_SKEW_SECONDS ? ' Set the clock here: at 300 s nothing is accepted any more.' : '';
        $expires = strtotime(self::word($me, 'expires_at'));
        if ($expires !== false && $expires - time() < self::SOON_SECONDS) {
            $soon .= ' The token ends at ' . Fields::moment($expires) . '. Make a new one.';
        }
        return $soon;
    }

    /** @param array<int|string, mixed> $me */
    private static function skew(array $me): int
    {
        $there = strtotime(self::word($me, 'now'));
        return $there === false ? 0 : time() - $there;
    }

    /** @param array<int|string, mixed> $of */
    private static function word(array $of, string $name): string
    {
        return is_scalar($of[$name] ?? null) ? (string) $of[$name] : '';
    }
}
