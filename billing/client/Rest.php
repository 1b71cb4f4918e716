<?php

namespace Doublehop\Billing;

/**
 * The REST API, version 1. Answers are arrays; a Problem is raised for everything else.
 *
 * Every write carries a key: the same key and body is the same deed, however often it is sent.
 */
class Rest
{
    public const CALL_SECONDS = 10.0;
    private const PREFIX = '/api/v1';
    private const DEEPEST = 32;
    /** What people quote stands on pages that escape nothing. */
    public const QUOTABLE = '/^[A-Z0-9-]{1,40}$/D';
    private const MOST_PAGES = 100;

    /** @var Http */
    private $http;
    /** @var callable(string, string, string): array<int, string> header lines that say who asks */
    private $signed;
    /** @var callable(string, mixed, mixed): void what was asked, what was sent, what came: both without secrets */
    private $log;
    /** @var Deadline */
    private $deadline;

    public function __construct(Http $http, callable $signed, callable $log, Deadline $deadline)
    {
        $this->http = $http;
        $this->signed = $signed;
        $this->log = $log;
        $this->deadline = $deadline;
    }

    /**
     * @param array<string, scalar> $query
     * @return array<int|string, mixed>
     */
    public function get(string $path, array $query = [], int $wait = 0): array
    {
        return $this->call('GET', self::at($path, $query), null, $wait > 0 ? ["Prefer: wait=$wait"] : []);
    }

    /**
     * Questions that do not wait for each other.
     *
     * @param array<string, string> $paths with their query
     * @return array<string, array<int|string, mixed>|Problem> under the same names
     */
    public function getAll(array $paths): array
    {
        $calls = [];
        foreach ($paths as $name => $path) {
            $headers = array_merge(['Accept: application/json'], ($this->signed)('GET', self::PREFIX . $path, ''));
            $calls[$name] = ['path' => self::PREFIX . $path, 'headers' => $headers];
        }
        try {
            $answers = $this->http->getAll($calls, $this->seconds());
        } catch (Problem $problem) {
            $answers = array_fill_keys(array_keys($paths), $problem);
        }
        $found = [];
        foreach ($answers as $name => $answer) {
            try {
                if ($answer instanceof Problem) {
                    throw $answer;
                }
                $found[$name] = self::content('GET', $answer);
            } catch (Problem $problem) {
                $found[$name] = self::ofQuestion($problem);
            }
            $came = $found[$name] instanceof Problem ? self::told($found[$name]) : Masking::of($found[$name]);
            ($this->log)('GET ' . strtok($paths[$name], '?'), $paths[$name], $came);
        }
        return $found;
    }

    /**
     * @param array<string, scalar> $query
     * @return \Generator<int, array<string, mixed>> the items of every page
     */
    public function all(string $path, array $query = []): \Generator
    {
        for ($page = 0; $page < self::MOST_PAGES; $page++) {
            $answer = $this->get($path, $query);
            foreach (is_array($answer['items'] ?? null) ? $answer['items'] : [] as $item) {
                if (is_array($item)) {
                    yield $item;
                }
            }
            $next = $answer['next'] ?? null;
            if ($next === null || (string) $next === (string) ($query['after'] ?? '')) {
                return;
            }
            $query['after'] = $next;
        }
        // Half a list must not pass for the whole.
        throw new Problem(Problem::NOT_SENT, 'The list has more pages than can be read. Nothing was done.');
    }

    /**
     * @param array<string, mixed> $body
     * @return array<int|string, mixed>
     */
    public function post(string $path, array $body, string $key, int $wait = 0): array
    {
        $more = array_merge(["Idempotency-Key: $key"], $wait > 0 ? ["Prefer: wait=$wait"] : []);
        return $this->call('POST', $path, $body, $more);
    }

    /**
     * @param array<string, mixed> $body
     * @return array<int|string, mixed>
     */
    public function patch(string $path, array $body, string $key): array
    {
        return $this->call('PATCH', $path, $body, ["Idempotency-Key: $key"]);
    }

    public function deadline(): Deadline
    {
        return $this->deadline;
    }

    /** @param array<string, scalar> $query */
    public static function at(string $path, array $query): string
    {
        return $path . ($query ? '?' . http_build_query($query) : '');
    }

    private function seconds(): float
    {
        return min(self::CALL_SECONDS, $this->deadline->left());
    }

    /**
     * @param ?array<string, mixed> $body
     * @param array<int, string> $more header lines
     * @return array<int|string, mixed>
     */
    private function call(string $method, string $path, ?array $body, array $more): array
    {
        $what = $method . ' ' . strtok($path, '?');
        try {
            $text = $body === null ? '' : json_encode((object) $body, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);
            $headers = array_merge(
                ['Accept: application/json'],
                $body === null ? [] : ['Content-Type: application/json'],
                $more,
                ($this->signed)($method, self::PREFIX . $path, $text)
            );
            $answer = $this->http->send($method, self::PREFIX . $path, $headers, $text, $this->seconds());
            $content = self::content($method, $answer);
        } catch (\JsonException $error) {
            throw new Problem(Problem::NOT_SENT, 'There are signs in it that cannot be sent. Nothing was sent.');
        } catch (Problem $problem) {
            $problem = $method === 'GET' ? self::ofQuestion($problem) : $problem;
            ($this->log)($what, ['path' => $path, 'body' => Masking::of($body)], self::told($problem));
            throw $problem;
        }
        ($this->log)($what, ['path' => $path, 'body' => Masking::of($body)], Masking::of($content));
        return $content;
    }

    /** @return array<string, string> */
    private static function told(Problem $problem): array
    {
        return [
            'error' => $problem->getMessage(),
            'kind' => $problem->kind,
            'code' => $problem->told,
            'reference' => $problem->reference,
        ];
    }

    /** A question does nothing, whatever becomes of it. */
    private static function ofQuestion(Problem $problem): Problem
    {
        if ($problem->kind !== Problem::UNKNOWN) {
            return $problem;
        }
        $text = $problem->getMessage() . ' Nothing was done.';
        return new Problem(Problem::NOT_SENT, $text, $problem->told, $problem->reference);
    }

    /**
     * @param array{status: int, body: string} $answer
     * @return array<int|string, mixed>
     */
    private static function content(string $method, array $answer): array
    {
        $status = $answer['status'];
        if ($status === 204) {
            return [];
        }
        $content = json_decode($answer['body'], true, self::DEEPEST);
        if ($status >= 200 && $status < 300 && is_array($content)) {
            return $content;
        }
        $said = is_array($content) ? self::text($content, 'title') : '';
        $code = is_array($content) ? self::text($content, 'code') : '';
        $reference = is_array($content) ? self::text($content, 'reference') : '';
        $reference = preg_match(self::QUOTABLE, $reference) === 1 ? $reference : '';
        if ($status === 401) {
            return self::raise(Problem::LOGIN, $said ?: 'The token is not accepted.', $code, $reference);
        }
        if ($status === 429) {
            $text = 'The provider asks for patience. Nothing was done; try again in some minutes.';
            return self::raise(Problem::NOT_SENT, $text, $code, $reference);
        }
        if ($code === 'other_installation') {
            return self::raise(Problem::COPY, $said, $code, $reference);
        }
        if ($status >= 400 && $status < 500 && $code !== '') {
            return self::raise(Problem::REFUSED, $said ?: 'Refused, without a reason.', $code, $reference);
        }
        $text = "The provider's answer cannot be understood (status $status).";
        return self::raise(Problem::UNKNOWN, $text, $code, $reference);
    }

    /** @return array<int|string, mixed> never */
    private static function raise(string $kind, string $text, string $code, string $reference): array
    {
        throw new Problem($kind, $text, $code, $reference);
    }

    /** @param array<int|string, mixed> $content */
    private static function text(array $content, string $name): string
    {
        $value = $content[$name] ?? '';
        return is_string($value) ? mb_substr((string) preg_replace('/[^\P{C}]+/u', ' ', trim($value)), 0, 300) : '';
    }
}
