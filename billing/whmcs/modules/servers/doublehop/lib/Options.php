<?php

namespace WHMCS\Module\Server\Doublehop;

/**
 * Configurable options (memory, disks, addresses) are sold in WHMCS, and a person puts them into the machine: the panel does not
 * know them. So they are named first, and nothing is called done; the press of a member of staff after that confirms them.
 */
class Options
{
    /** Whoever presses sooner than this has not been at the machine: it is the same press. */
    private const SAME_PRESS_SECONDS = 10;

    /** @var array<string, mixed> */
    private $params;
    /** @var Store */
    private $store;
    /** @var int */
    private $serviceId;

    /** @param array<string, mixed> $params */
    public function __construct(array $params, Store $store)
    {
        $this->params = $params;
        $this->store = $store;
        $this->serviceId = (int) ($params['serviceid'] ?? 0);
    }

    /** What nobody has confirmed yet, as in "Memory: 64 GB instead of 32 GB"; empty where nothing is. */
    public function open(): string
    {
        $data = $this->store->of($this->serviceId)['data'];
        $now = $this->sold();
        $before = (array) ($data['options'] ?? []);
        $open = self::difference($before, $now);
        if ($open === []) {
            return '';
        }
        $told = (array) ($data['options_told'] ?? []);
        $isTold = ($told['of'] ?? null) === $now;
        $isAsked = Settings::optionsAreAsked($this->params);
        if ($isAsked && !($isTold && $this->isConfirmedBy((int) $told['at']))) {
            // Staff who press have read what an earlier press of staff was told. Nobody reads what a cron or a paying client is told.
            if (!$isTold && Asking::admin() > 0) {
                $this->store->write($this->serviceId, ['options_told' => ['of' => $now, 'at' => time()]]);
            }
            return implode(', ', $open);
        }
        $this->store->write($this->serviceId, ['options' => $now, 'options_told' => null]);
        $how = $isAsked ? Asking::by('confirmed as delivered') : 'the panel knows nothing of them, a person delivers them';
        Guarded::log('configurable options: ' . implode(', ', $open) . ": $how.", $this->params);
        return '';
    }

    private function isConfirmedBy(int $toldAt): bool
    {
        return Asking::admin() > 0 && time() - $toldAt >= self::SAME_PRESS_SECONDS;
    }

    /** @return array<string, string> what was bought, by its name; a quantity of none, or a box that is not ticked, is not */
    private function sold(): array
    {
        $sold = [];
        $options = (array) ($this->params['configoptions'] ?? []);
        foreach (array_keys($options) as $name) {
            $value = Settings::text($options, (string) $name);
            if ($value !== '' && $value !== '0') {
                $sold[html_entity_decode((string) $name, ENT_QUOTES | ENT_HTML5, 'UTF-8')] = $value;
            }
        }
        ksort($sold);
        return $sold;
    }

    /**
     * @param array<string, string> $before
     * @param array<string, string> $now
     * @return array<int, string>
     */
    private static function difference(array $before, array $now): array
    {
        $open = [];
        foreach ($now + $before as $name => $value) {
            if (!isset($now[$name])) {
                $open[] = "$name: none instead of {$before[$name]}";
            } elseif (!isset($before[$name])) {
                $open[] = "$name: $value";
            } elseif ($before[$name] !== $value) {
                $open[] = "$name: $value instead of {$before[$name]}";
            }
        }
        return $open;
    }
}
