<?php

namespace WHMCS\Module\Server\Singlehop;

use Doublehop\Billing\Problem;

/** What stands in the client's Products/Services tab beside WHMCS's own fields. Asks only; changes nothing. */
class Tab
{
    const MEND_LOGIN = 'Check the five fields under Module Settings of this product, and save them.';
    const MEND_EMPTY = 'The Tandem user has no permission on any server. In LEAP: Tandem > Tandem Users, select the user, Add Server Permissions, tick the server, Apply Permissions.';

    /** @var array<string, mixed> */
    private $params;
    /** @var int */
    private $serviceId;
    /** @var Bindings */
    private $bindings;
    /** @var array{server_id: string, data: array<string, mixed>, seen: array<string, mixed>} */
    private $row;

    public function __construct(array $params)
    {
        $this->params = $params;
        $this->serviceId = (int) ($params['serviceid'] ?? 0);
        $this->bindings = new Bindings();
        $this->row = $this->bindings->of($this->serviceId);
    }

    /** @return array<string, string> HTML by label */
    public function fields(): array
    {
        $fields = ['SingleHop Servers List' => $this->list()];
        $data = $this->row['data'];
        if (!empty($this->row['seen']['addresses'])) {
            $read = Fields::moment((int) $this->row['seen']['addresses_at']);
            $addresses = implode('<br>', array_map([Fields::class, 'escaped'], $this->row['seen']['addresses']));
            $fields['Server IP'] = "$addresses<br><small>read $read</small>";
        }
        if (!empty($data['operation'])) {
            $fields['Last command'] = Fields::escaped(self::told($data['operation']));
        }
        if (($data['suspended_by'] ?? '') === 'permission') {
            $fields['Suspended by'] = 'Permission of the Tandem user taken away. <strong>The machine stays online.</strong>';
        }
        if (!empty($data['note'])) {
            $fields['Note'] = Fields::escaped($data['note'] . ' (' . Fields::moment((int) $data['note_at']) . ')');
        }
        return $fields;
    }

    private function list(): string
    {
        try {
            $leap = Settings::leap($this->params, Settings::PAGE_SECONDS);
            $permitted = array_flip($leap->permitted(Settings::tandem($this->params)));
            $servers = array_intersect_key($leap->servers(), $permitted);
        } catch (Problem $problem) {
            if ($problem->kind === Problem::LOGIN) {
                // No list at all: an old one could name the wrong server.
                return self::error('API Error: Authentication Error', self::MEND_LOGIN);
            }
            return $this->menu([]) . self::error('The list cannot be read now', $problem->getMessage());
        }
        if (!$servers && $this->row['server_id'] === '') {
            return self::error('No Servers Listed', self::MEND_EMPTY);
        }
        $taken = array_diff($this->bindings->attached(), [$this->serviceId]);
        $free = array_diff_key($servers, $taken);
        if (!$free && $this->row['server_id'] === '') {
            return self::error('All servers are attached', 'Every permitted server is in a service already. Order another one in LEAP, and permit it to the Tandem user.');
        }
        return $this->menu($free) . (!$servers ? self::error('No Servers Listed', self::MEND_EMPTY) : '');
    }

    /** The present choice is always in it, whatever the provider says at the moment. */
    private function menu(array $servers): string
    {
        $own = $this->row['server_id'];
        $data = $this->row['data'];
        // Given to another client since: it must be chosen anew before it is shown to that one.
        $moved = $own !== '' && (int) ($data['client_id'] ?? 0) !== (int) ($this->params['userid'] ?? 0);
        $options = self::option('', 'none', $own === '' || $moved);
        if ($own !== '' && !isset($servers[$own])) {
            $options .= self::option($own, "{$data['hostname']} · {$data['address']} · not in the list", !$moved);
        }
        foreach ($servers as $id => $server) {
            $status = $server['suspended'] ? 'suspended' : $server['status'];
            $label = implode(' · ', array_filter([$server['hostname'], $server['address'], $status], 'strlen'));
            $options .= self::option((string) $id, $label, (string) $id === $own && !$moved);
        }
        $was = Fields::escaped($moved ? '' : $own);
        return '<select name="' . Attaching::FIELD . '" class="form-control select-inline">' . $options . '</select>'
            . '<input type="hidden" name="' . Attaching::FIELD_WAS . '" value="' . $was . '">'
            . ($moved ? self::error('The service has another client now', 'Choose the server again and Save Changes.') : '');
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

    private static function told(array $operation): string
    {
        $state = in_array($operation['state'], ['', 'asked'], true) ? 'accepted' : $operation['state'];
        $reference = $operation['reference'] !== '' ? " {$operation['reference']}" : '';
        return ucfirst(Commands::NAMES[$operation['kind']]) . "$reference: $state, asked " . Fields::moment((int) $operation['at']);
    }
}
