<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/** Into the panel without a password: a link that opens once, and only for a minute. */
class SignOn
{
    /** @var array<string, mixed> */
    private $params;

    /** @param array<string, mixed> $params */
    public function __construct(array $params)
    {
        $this->params = $params;
    }

    /** @return array<string, mixed> */
    public function ofService(): array
    {
        $reference = Guarded::reference();
        try {
            $panel = new Panel($this->params, Settings::PAGE_SECONDS);
            $service = $panel->bound();
            if (!$panel->isOfTheClient($service)) {
                throw new Problem(Problem::NOT_SENT, 'The service is of another client in the panel.');
            }
            $body = ['service_id' => (int) $service['id']];
            // Each press is a link of its own: it opens once.
            $link = $panel->rest()->post('/sign-in-links', $body, 'whmcs-sign-in-' . bin2hex(random_bytes(12)));
            return ['success' => true, 'redirectTo' => self::checked($link['url'] ?? null)];
        } catch (Problem $problem) {
            $reference = $problem->reference ?: $reference;
            Guarded::log('sign-in failed: ' . Guarded::told($problem, $this->params) . " (reference $reference)", $this->params);
        } catch (\Throwable $fault) {
            $where = basename($fault->getFile()) . ':' . $fault->getLine();
            Guarded::log('sign-in failed: ' . get_class($fault) . " at $where (reference $reference)", $this->params);
        }
        // WHMCS prints it as it is.
        $text = "The server panel cannot be opened at the moment (reference $reference).";
        return ['success' => false, 'errorMsg' => Fields::escaped($text)];
    }

    /** Staff have passwords and second factors of their own there, so this leads to the door and not through it. */
    public function ofStaff(): array
    {
        try {
            return ['success' => true, 'redirectTo' => Settings::address($this->params) . '/admin/'];
        } catch (Problem $problem) {
            return ['success' => false, 'errorMsg' => Fields::escaped($problem->getMessage())];
        }
    }

    /** @param mixed $url */
    private static function checked($url): string
    {
        $parts = is_string($url) ? parse_url($url) : false;
        $loopback = in_array($parts['host'] ?? '', ['127.0.0.1', 'localhost', '[::1]'], true);
        if (!is_array($parts) || !(($parts['scheme'] ?? '') === 'https' || (($parts['scheme'] ?? '') === 'http' && $loopback))) {
            throw new Problem(Problem::NOT_SENT, 'The panel answered with a link that leads nowhere safe.');
        }
        return (string) $url;
    }
}
