<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;
use Doublehop\Billing\Rest;

/** What stands in the client's Products/Services tab beside WHMCS's own fields. Asks only; changes nothing. */
class Tab
{
    public const LIST_LABEL = 'Servers List';
    private const MOST_LISTED = 200;
    private const MOST_LINES = 12;
    private const MOST_PAGES = 5;

    /** @var array<string, mixed> */
    private $params;
    /** @var Panel */
    private $panel;
    /** @var array<string, mixed> what was kept */
    private $kept;

    /** @param array<string, mixed> $params */
    public function __construct(array $params)
    {
        $this->params = $params;
        $this->panel = new Panel($params, Settings::PAGE_SECONDS);
        $this->kept = $this->panel->store->of($this->panel->serviceId)['data'];
    }

    /** @return array<string, string> HTML by label */
    public function fields(): array
    {
        $free = Rest::at('/servers', ['free' => 'true', 'limit' => self::MOST_LISTED]);
        $mine = Rest::at('/services', ['billing_reference' => (string) $this->panel->serviceId, 'limit' => 2]);
        $asked = ['mine' => $mine, 'free' => $free] + $this->about((int) ($this->kept['service'] ?? 0));
        try {
            $got = $this->panel->rest()->getAll($asked);
            $service = $this->ours($got['mine']);
            if ($service !== null && (int) $service['id'] !== (int) ($this->kept['service'] ?? 0)) {
                // A service that was not known yet, or of another panel: what was kept is not its own.
                $this->kept = array_diff_key($this->kept, ['trail' => 0, 'trail_after' => 0, 'shown' => 0]);
                $got = $this->panel->rest()->getAll($this->about((int) $service['id'])) + $got;
            }
        } catch (Problem $problem) {
            $told = self::error('The panel cannot be read now', Guarded::told($problem, $this->params));
            return [self::LIST_LABEL => $this->menu([], null) . $told] + $this->shown() + $this->trail() + $this->note();
        }
        $fields = [self::LIST_LABEL => $this->list($got['free'], $service)];
        if ($service !== null) {
            $this->show('Service', self::service($service));
            $this->show('Server', self::server($service));
            $this->show('Bandwidth', self::bandwidth($got['usage'] ?? null));
            $this->show('Operation', self::operation($service, $got['operations'] ?? null));
            $this->keep($service);
            $fields += $this->shown();
            $this->follow((int) $service['id'], $got['journal'] ?? null);
        }
        return $fields + $this->trail() + $this->note();
    }

    /** A line of text, kept for when it cannot be read. Null: it cannot be read now, and what is kept stays. */
    private function show(string $label, ?string $text): void
    {
        if ($text !== null || !isset($this->kept['shown'][$label])) {
            $this->kept['shown'][$label] = ['text' => $text ?? 'cannot be read now', 'at' => time()];
        }
    }

    /** @return array<string, string> what was read now, and last, with the time of what is not of now */
    private function shown(): array
    {
        $fields = [];
        foreach ((array) ($this->kept['shown'] ?? []) as $label => $one) {
            $age = time() - (int) $one['at'] > Settings::PAGE_SECONDS ? ' (as of ' . Fields::moment((int) $one['at']) . ')' : '';
            $fields[$label] = Fields::escaped($one['text'] . $age);
        }
        return $fields;
    }

    /** @return array<string, string> */
    private function about(int $service): array
    {
        if ($service <= 0) {
            return [];
        }
        return [
            'usage' => "/services/$service/usage",
            'operations' => Rest::at('/operations', ['service_id' => $service, 'limit' => 1]),
            'journal' => $this->linesAfter($service, (int) ($this->kept['trail_after'] ?? 0)),
        ];
    }

    private function linesAfter(int $service, int $line): string
    {
        return Rest::at('/journal', ['service_id' => $service, 'after' => $line, 'limit' => self::MOST_LISTED]);
    }

    /**
     * The journal is read from where it was read to, and its last lines are kept.
     *
     * @param mixed $journal
     */
    private function follow(int $service, $journal): void
    {
        $before = $this->kept['trail_after'] ?? 0;
        for ($page = 0; $page < self::MOST_PAGES && is_array($journal); $page++) {
            foreach (array_filter($journal['items'] ?? [], 'is_array') as $line) {
                if (strpos((string) ($line['verb'] ?? ''), 'mail.') !== 0) {
                    $this->kept['trail'][] = self::entry($line);
                }
                $this->kept['trail_after'] = (int) ($line['id'] ?? 0);
            }
            if (($journal['next'] ?? null) === null) {
                break;
            }
            $more = $this->panel->rest()->getAll(['journal' => $this->linesAfter($service, (int) $journal['next'])]);
            $journal = $more['journal'];
        }
        if (($this->kept['trail_after'] ?? 0) !== $before) {
            $this->kept['trail'] = array_slice($this->kept['trail'] ?? [], -self::MOST_LINES);
            $now = ['trail' => $this->kept['trail'], 'trail_after' => $this->kept['trail_after']];
            $this->panel->store->write($this->panel->serviceId, $now);
        }
    }

    /**
     * @param mixed $answer
     * @return ?array<string, mixed>
     */
    private function ours($answer): ?array
    {
        if ($answer instanceof Problem) {
            throw $answer;
        }
        $items = is_array($answer['items'] ?? null) ? $answer['items'] : [];
        if (count($items) > 1) {
            throw new Problem(Problem::NOT_SENT, 'It has more than one service with this number: a person must look.');
        }
        return $items ? $this->panel->known($items[0]) : null;
    }

    /** @param array<string, mixed> $service */
    private function keep(array $service): void
    {
        $now = ['server' => $service['server_id'], 'label' => Panel::label($service)];
        $this->kept = $now + $this->kept;
        $this->panel->store->write($this->panel->serviceId, $now + ['shown' => $this->kept['shown']]);
    }

    /**
     * @param mixed $free
     * @param ?array<string, mixed> $service
     */
    private function list($free, ?array $service): string
    {
        if ($free instanceof Problem) {
            return $this->menu([], $service) . self::error('The list cannot be read now', $free->getMessage());
        }
        $items = array_filter(is_array($free['items'] ?? null) ? $free['items'] : [], 'is_array');
        $more = ($free['next'] ?? null) !== null;
        $hint = $type = '';
        if (!$items && ($service['server_id'] ?? null) === null) {
            $hint = self::error('No server is free', 'Every server is in a service. Order one from your supplier, or add one in the panel.');
        } elseif ($more) {
            $said = 'The first ' . self::MOST_LISTED . ' free servers are listed. Any other is chosen by its name';
            $type = '<br><label for="doublehop-named">' . $said . '</label> <input type="text" id="doublehop-named" name="'
                . Attaching::FIELD_NAMED . '" class="form-control input-300 input-inline" maxlength="120" autocomplete="off"'
                . ' placeholder="hostname, label or main address">';
        }
        return $this->menu($items, $service ?? ['server_id' => null]) . $type . $hint;
    }

    /**
     * The present choice is always in it, whatever the panel says at the moment.
     *
     * @param array<int, array<string, mixed>> $free
     * @param ?array<string, mixed> $service null: the panel did not answer
     */
    private function menu(array $free, ?array $service): string
    {
        $own = (string) ($service !== null ? $service['server_id'] ?? '' : $this->kept['server'] ?? '');
        $label = $service !== null ? Panel::label($service) : (string) ($this->kept['label'] ?? '');
        $options = self::option('', 'none', $own === '');
        if ($own !== '') {
            $options .= self::option($own, $label !== '' ? $label : "server $own", true);
        }
        foreach ($free as $server) {
            $id = (string) ($server['id'] ?? '');
            if ($id !== '' && $id !== $own) {
                $parts = [];
                foreach (['label', 'hostname', 'primary_address'] as $name) {
                    $parts[] = is_scalar($server[$name] ?? null) ? (string) $server[$name] : '';
                }
                $parts[] = self::power($server);
                $options .= self::option($id, implode(' · ', array_unique(array_filter($parts, 'strlen'))), false);
            }
        }
        return '<select name="' . Attaching::FIELD . '" class="form-control select-inline">' . $options . '</select>'
            . '<input type="hidden" name="' . Attaching::FIELD_WAS . '" value="' . Fields::escaped($own) . '">';
    }

    /** @param array<string, mixed> $service */
    private static function service(array $service): string
    {
        $parts = ["number {$service['number']}", (string) $service['product'], (string) $service['status']];
        foreach (['waits_because', 'suspended_because'] as $name) {
            $parts[] = (string) ($service[$name] ?? '');
        }
        return implode(' · ', array_filter($parts, 'strlen'));
    }

    /** @param array<string, mixed> $of a server, or a service with one */
    private static function power(array $of): string
    {
        $state = is_string($of['power_state'] ?? null) ? $of['power_state'] : '';
        $read = Fields::time($of['power_read_at'] ?? null);
        return $state !== '' && $read !== '' ? "$state as of $read" : $state;
    }

    /** @param array<string, mixed> $service */
    private static function server(array $service): string
    {
        if (($service['server_id'] ?? null) === null) {
            return 'none yet';
        }
        $username = (string) ($service['username'] ?? '');
        $parts = [Panel::label($service), $username !== '' ? "username $username" : 'username not known', self::power($service)];
        return implode(' · ', array_filter($parts, 'strlen'));
    }

    /** @param mixed $usage */
    private static function bandwidth($usage): ?string
    {
        if (!is_array($usage)) {
            return $usage instanceof Problem && $usage->kind !== Problem::REFUSED ? null : 'nothing was counted yet';
        }
        $parts = [
            (string) ($usage['label'] ?? ''),
            Figures::size($usage['octets_in'] ?? 0) . ' in, ' . Figures::size($usage['octets_out'] ?? 0) . ' out',
        ];
        $share = Figures::share($usage);
        $parts[] = $share !== '' ? "$share of what is included" : '';
        $parts[] = empty($usage['sample_history']) ? '' : 'sample history, made up in part';
        $counted = Fields::time($usage['counted_at'] ?? null);
        $parts[] = $counted !== '' ? "counted $counted" : '';
        return implode(' · ', array_filter($parts, 'strlen'));
    }

    /**
     * @param array<string, mixed> $service
     * @param mixed $operations
     */
    private static function operation(array $service, $operations): ?string
    {
        $open = $service['open_operation'] ?? null;
        $last = is_array($operations) ? ($operations['items'][0] ?? null) : null;
        $shown = is_array($open) ? $open : $last;
        if (!is_array($shown) && $operations instanceof Problem) {
            return null;
        }
        return is_array($shown) ? self::line($shown) : 'none';
    }

    /** @return array<string, string> newest first */
    private function trail(): array
    {
        $lines = array_map([Fields::class, 'escaped'], array_reverse((array) ($this->kept['trail'] ?? [])));
        return $lines ? ['What was done' => implode('<br>', $lines)] : [];
    }

    /** @param array<string, mixed> $line of the journal */
    private static function entry(array $line): string
    {
        $verb = ucfirst(str_replace(['.', '_'], ' ', (string) ($line['verb'] ?? '')));
        $reference = (string) ($line['reference'] ?? '');
        $parts = [
            Fields::time($line['at'] ?? null),
            $verb . ($reference !== '' ? " $reference" : ''),
            (string) ($line['by'] ?? ''),
            (string) ($line['result'] ?? ''),
            (string) ($line['sentence'] ?? ''),
        ];
        return mb_substr(implode(' · ', array_filter(array_map('trim', $parts), 'strlen')), 0, 400);
    }

    /** @param array<string, mixed> $operation */
    private static function line(array $operation): string
    {
        $parts = [
            Fields::time($operation['asked_at'] ?? null),
            Fields::words((string) ($operation['kind'] ?? '')) . ' ' . ($operation['reference'] ?? ''),
            (string) ($operation['asked_by'] ?? ''),
            (string) ($operation['state'] ?? ''),
            (string) ($operation['sentence'] ?? ''),
        ];
        return implode(' · ', array_filter(array_map('trim', $parts), 'strlen'));
    }

    /** @return array<string, string> */
    private function note(): array
    {
        if (empty($this->kept['note'])) {
            return [];
        }
        return ['Note' => Fields::escaped($this->kept['note'] . ' (' . Fields::moment((int) $this->kept['note_at']) . ')')];
    }

    private static function option(string $value, string $label, bool $selected): string
    {
        $mark = $selected ? ' selected' : '';
        return '<option value="' . Fields::escaped($value) . "\"$mark>" . Fields::escaped($label) . '</option>';
    }

    private static function error(string $what, string $remedy): string
    {
        return '<div class="errorbox"><strong>' . Fields::escaped($what) . '</strong> ' . Fields::escaped($remedy) . '</div>';
    }
}
