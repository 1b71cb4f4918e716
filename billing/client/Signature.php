<?php

namespace Doublehop\Billing;

/**
 * Signs what is asked with the secret of a token, so that the secret itself never travels, and nobody can send the same
 * thing a second time or to another place.
 */
class Signature
{
    private const SCHEME = 'DOUBLEHOP-HMAC-SHA256';
    private const TOKEN = '/^dh_([A-Za-z0-9]{10})_([A-Za-z0-9]{40})$/';

    /** @var string */
    private $handle;
    /** @var string */
    private $secret;
    /** @var string */
    private $installation;

    /** @param string $installation which installation asks: the token is bound to the first one that does */
    public function __construct(string $token, string $installation)
    {
        if (preg_match(self::TOKEN, $token, $parts) !== 1) {
            $text = 'The server record holds no token. It begins with dh_ and was shown once, when it was made.';
            throw new Problem(Problem::LOGIN, $text);
        }
        $this->handle = $parts[1];
        $this->secret = $parts[2];
        $this->installation = $installation;
    }

    /** @return array<int, string> header lines */
    public function headers(string $method, string $path, string $body): array
    {
        return $this->headersAt($method, $path, $body, time(), bin2hex(random_bytes(16)));
    }

    /** @return array<int, string> */
    public function headersAt(string $method, string $path, string $body, int $timestamp, string $nonce): array
    {
        $canonical = implode("\n", [
            self::SCHEME, $method, $path, (string) $timestamp, $nonce, hash('sha256', $body), $this->installation,
        ]);
        $signature = base64_encode(hash_hmac('sha256', $canonical, $this->secret, true));
        return [
            "Authorization: Doublehop-HMAC-SHA256 handle=$this->handle, timestamp=$timestamp, nonce=$nonce, "
                . "signature=$signature",
            "Doublehop-Installation: $this->installation",
        ];
    }
}
