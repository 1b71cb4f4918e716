<?php

namespace Doublehop\Billing;

/**
 * Requests and their answers, with limits. Certificates are always checked, redirects are never followed, and plain HTTP is
 * for loopback only.
 */
class Http
{
    public const CONNECT_SECONDS = 2.0;
    public const MOST_OCTETS = 8388608;
    private const LEAST_SECONDS = 0.05;

    /** @var string */
    private $address;

    /** @param string $address of what is asked, or what all that is asked begins with */
    public function __construct(string $address)
    {
        $parts = parse_url($address);
        $scheme = is_array($parts) && isset($parts['scheme']) ? strtolower($parts['scheme']) : '';
        $host = is_array($parts) && isset($parts['host']) ? strtolower($parts['host']) : '';
        $loopback = in_array($host, ['127.0.0.1', 'localhost', '[::1]'], true);
        if ($host === '' || isset($parts['user']) || !($scheme === 'https' || ($scheme === 'http' && $loopback))) {
            throw new Problem(Problem::NOT_SENT, 'The address must begin with https:// and hold no login.');
        }
        $this->address = $address;
    }

    /**
     * @param array<string, string> $form
     * @return array{0: int, 1: string} status and body. Raises Problem: NOT_SENT or UNKNOWN.
     */
    public function post(array $form, float $seconds): array
    {
        $answer = $this->send('POST', '', ['Accept: application/json'], http_build_query($form), $seconds);
        return [$answer['status'], $answer['body']];
    }

    /**
     * @param array<int, string> $headers whole lines
     * @return array{status: int, body: string} Raises Problem: NOT_SENT or UNKNOWN.
     */
    public function send(string $method, string $path, array $headers, string $body, float $seconds): array
    {
        self::enough($seconds);
        $line = curl_init();
        $got = new Received();
        curl_setopt_array($line, $this->options($method, $path, $headers, $body, $seconds, $got));
        if (curl_exec($line) === false) {
            throw self::failure($line, curl_errno($line), $got);
        }
        return ['status' => (int) curl_getinfo($line, CURLINFO_RESPONSE_CODE), 'body' => $got->body];
    }

    /**
     * Questions that do not wait for each other.
     *
     * @param array<string, array{path: string, headers: array<int, string>}> $calls
     * @return array<string, array{status: int, body: string}|Problem> under the same names
     */
    public function getAll(array $calls, float $seconds): array
    {
        self::enough($seconds);
        $all = curl_multi_init();
        $lines = $got = $found = [];
        foreach ($calls as $name => $call) {
            $lines[$name] = curl_init();
            $got[$name] = new Received();
            $options = $this->options('GET', $call['path'], $call['headers'], '', $seconds, $got[$name]);
            curl_setopt_array($lines[$name], $options);
            curl_multi_add_handle($all, $lines[$name]);
        }
        $until = microtime(true) + $seconds + 1;
        do {
            $still = 0;
            $said = curl_multi_exec($all, $still);
            if ($still > 0) {
                curl_multi_select($all, 0.2);
            }
        } while ($still > 0 && $said === CURLM_OK && microtime(true) < $until);
        $ended = [];
        while (($one = curl_multi_info_read($all)) !== false) {
            $ended[array_search($one['handle'], $lines, true)] = $one['result'];
        }
        foreach ($lines as $name => $line) {
            $error = $ended[$name] ?? CURLE_OPERATION_TIMEDOUT;
            $status = (int) curl_getinfo($line, CURLINFO_RESPONSE_CODE);
            $found[$name] = $error === CURLE_OK
                ? ['status' => $status, 'body' => $got[$name]->body] : self::failure($line, $error, $got[$name]);
            curl_multi_remove_handle($all, $line);
        }
        return $found;
    }

    private static function enough(float $seconds): void
    {
        if ($seconds < self::LEAST_SECONDS) {
            throw new Problem(Problem::NOT_SENT, 'There was no time left to ask. Nothing was sent.');
        }
    }

    /**
     * @param array<int, string> $headers
     * @return array<int, mixed>
     */
    private function options(
        string $method,
        string $path,
        array $headers,
        string $body,
        float $seconds,
        Received $got
    ): array {
        $options = [
            CURLOPT_URL => $this->address . $path,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => array_merge($headers, ['Expect:']),
            CURLOPT_CONNECTTIMEOUT_MS => (int) (1000 * min(self::CONNECT_SECONDS, $seconds)),
            CURLOPT_TIMEOUT_MS => (int) (1000 * $seconds),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_SSL_VERIFYPEER => true,
            CURLOPT_SSL_VERIFYHOST => 2,
            // On a connection that was used before, curl sends once more by itself what got no answer.
            CURLOPT_FRESH_CONNECT => true,
            CURLOPT_WRITEFUNCTION => static function ($_, string $piece) use ($got): int {
                return $got->take($piece);
            },
        ];
        if ($method !== 'GET') {
            $options[CURLOPT_POSTFIELDS] = $body;
        } else {
            $options[CURLOPT_HTTPGET] = true;
        }
        return $options;
    }

    /** @param mixed $line */
    private static function failure($line, int $error, Received $got): Problem
    {
        if ($got->tooMuch) {
            return new Problem(Problem::UNKNOWN, 'The answer was too large to be read.');
        }
        $beforeAnyByte = [
            CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT, CURLE_SSL_CACERT,
            CURLE_SSL_CONNECT_ERROR, CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL,
        ];
        $sent = (int) curl_getinfo($line, CURLINFO_REQUEST_SIZE) > 0;
        $said = curl_strerror($error);
        if (!$sent || in_array($error, $beforeAnyByte, true)) {
            return new Problem(Problem::NOT_SENT, "The provider cannot be reached ($said). Nothing was sent.");
        }
        return new Problem(Problem::UNKNOWN, "The provider did not answer ($said).");
    }
}
