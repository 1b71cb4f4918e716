<?php

namespace StandIn;

require_once '/usr/share/php/smarty4/Smarty.class.php';

/** Pages of staff and of clients. */
class Pages
{
    public function __construct(private Host $host)
    {
    }

    public function service(int $id, string $message): string
    {
        $service = $this->host->service($id);
        $module = $service['servertype'];
        $has = fn (string $name) => $this->host->modules->has($module, $name);
        $client = $this->host->store->row('SELECT * FROM tblclients WHERE id = ?', [$service['userid']]);
        return $this->drawn(__DIR__ . '/templates/service.tpl', [
            'service' => $service,
            'client' => $client,
            'message' => $message,
            'fields' => $has('AdminServicesTabFields') ? $this->host->modules->call($module, 'AdminServicesTabFields', $this->host->modules->params($id)) : [],
            'buttons' => $has('AdminCustomButtonArray') ? $this->host->modules->call($module, 'AdminCustomButtonArray', []) : [],
            'actions' => array_filter([...array_keys(Host::STATUS), 'ChangePackage'], $has),
            'customfields' => $this->host->store->fieldsOfProduct($service, false),
        ]);
    }

    public function product(int $id): string
    {
        $product = $this->host->store->row('SELECT * FROM tblproducts WHERE id = ?', [$id]);
        return $this->drawn(__DIR__ . '/templates/product.tpl', [
            'product' => $product,
            'fields' => $this->settings($product),
        ]);
    }

    private function settings(array $product): array
    {
        $fields = [];
        foreach ($this->host->modules->call($product['servertype'], 'ConfigOptions', []) as $name => $field) {
            $number = count($fields) + 1;
            $field += ['FriendlyName' => $name, 'Description' => '', 'Size' => '', 'Options' => [], 'error' => ''];
            $field['value'] = $product["configoption$number"];
            if (isset($field['Loader'])) {
                $loaded = $this->host->modules->loaded($field, $product['servertype']);
                $field = ['Options' => $loaded['choices'], 'error' => $loaded['error'], 'Type' => $loaded['choices'] ? 'dropdown' : 'text'] + $field;
            }
            $fields[$number] = $field;
        }
        return $fields;
    }

    /** Null where the service is not the client's. */
    public function details(int $id, int $clientId, string $message = ''): ?string
    {
        if (!$this->host->store->row('SELECT id FROM tblhosting WHERE id = ? AND userid = ?', [$id, $clientId])) {
            return null;
        }
        $service = $this->host->service($id);
        $module = $service['servertype'];
        $vars = ['message' => $message] + $this->common($service, $clientId);
        $vars['signon'] = $this->host->modules->has($module, 'ServiceSingleSignOn') ? $this->host->modules->call($module, 'MetaData', [])['ServiceSingleSignOnLabel'] ?? '' : '';
        if ($this->host->modules->has($module, 'ClientArea')) {
            $answer = $this->host->modules->call($module, 'ClientArea', $this->host->modules->params($id));
            $template = $answer['tabOverviewModuleOutputTemplate'] ?? $answer['templatefile'] ?? '';
            $own = ($answer['templateVariables'] ?? $answer['vars'] ?? []) + $vars;
            $vars['moduleoutput'] = $this->drawn(ROOTDIR . "/modules/servers/$module/$template", $own);
        }
        return $this->drawn(__DIR__ . '/templates/details.tpl', $vars);
    }

    /** What a custom function returned instead of a text: its own template in place of the page of the service. */
    public function custom(int $id, int $clientId, array $page): string
    {
        $service = $this->host->service($id);
        $vars = ['signon' => '', 'breadcrumb' => $page['breadcrumb']] + $this->common($service, $clientId);
        $template = ROOTDIR . "/modules/servers/{$service['servertype']}/{$page['templatefile']}.tpl";
        return $this->drawn(__DIR__ . '/templates/details.tpl', ['moduleoutput' => $this->drawn($template, $page['vars'] + $vars)] + $vars);
    }

    private function common(array $service, int $clientId): array
    {
        return [
            'moduleoutput' => '', 'product' => $service['product'], 'domain' => $service['domain'], 'status' => $service['domainstatus'],
            'dedicatedip' => $service['dedicatedip'], 'token' => Host::tokenOf($clientId), 'message' => '', 'serviceid' => $service['id'],
            'breadcrumb' => [], 'customfields' => $this->host->store->fieldsOfProduct($service, true),
        ];
    }

    /** The server record, with Test Connection. */
    public function server(int $id, ?array $tested): string
    {
        $server = $this->host->store->row('SELECT * FROM tblservers WHERE id = ?', [$id]);
        return $this->drawn(__DIR__ . '/templates/server.tpl', ['server' => $server, 'tested' => $tested]);
    }

    private function drawn(string $template, array $vars): string
    {
        $smarty = new \Smarty();
        $smarty->setCompileDir(ROOTDIR . '/templates_c');
        $smarty->assign($vars);
        return $smarty->fetch($template);
    }
}
