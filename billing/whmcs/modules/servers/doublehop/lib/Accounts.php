<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/** What the panel has, for WHMCS's server sync. */
class Accounts
{
    /** @var array<string, mixed> */
    private $params;

    /** @param array<string, mixed> $params */
    public function __construct(array $params)
    {
        $this->params = $params;
    }

    /** @return array<string, mixed> */
    public function listed(): array
    {
        try {
            $rest = Installation::rest($this->params, Settings::BULK_SECONDS);
            $own = ['', (string) ($rest->get('/me')['billing_system'] ?? '')];
            $clients = [];
            foreach ($rest->all('/clients', ['limit' => 200]) as $client) {
                $clients[(int) ($client['id'] ?? 0)] = (string) ($client['email'] ?? '');
            }
            $accounts = [];
            foreach (['active' => 'Active', 'suspended' => 'Suspended'] as $status => $word) {
                foreach ($rest->all('/services', ['status' => $status, 'limit' => 200]) as $service) {
                    // What another billing system bills is nothing to take over.
                    if (in_array((string) ($service['billed_by'] ?? ''), $own, true)) {
                        $accounts[] = self::account($service, $clients) + ['status' => self::status($word)];
                    }
                }
            }
            return ['success' => true, 'accounts' => $accounts];
        } catch (Problem $problem) {
            return ['success' => false, 'error' => Guarded::told($problem, $this->params)];
        } catch (\Throwable $fault) {
            $where = basename($fault->getFile()) . ':' . $fault->getLine();
            return ['success' => false, 'error' => 'The module failed (' . get_class($fault) . " at $where)."];
        }
    }

    /**
     * @param array<string, mixed> $service
     * @param array<int, string> $clients
     * @return array<string, string>
     */
    private static function account(array $service, array $clients): array
    {
        $since = strtotime((string) ($service['activated_at'] ?? $service['created_at'] ?? ''));
        return [
            'email' => $clients[(int) ($service['client_id'] ?? 0)] ?? '',
            'username' => (string) ($service['username'] ?? ''),
            'domain' => (string) ($service['hostname'] ?? ''),
            'uniqueIdentifier' => (string) ($service['number'] ?? ''),
            'product' => (string) ($service['product_id'] ?? ''),
            'primaryip' => (string) ($service['primary_address'] ?? ''),
            'created' => gmdate('Y-m-d H:i:s', $since === false ? time() : $since),
        ];
    }

    private static function status(string $word): string
    {
        $constant = 'WHMCS\\Service\\Status::' . strtoupper($word);
        return defined($constant) ? (string) constant($constant) : $word;
    }
}
