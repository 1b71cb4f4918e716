<?php

/** SIMULATOR. The router for PHP's own web server. Pages for people, and `/state` and `/rows` for tests. */

require __DIR__ . '/boot.php';

use StandIn\Host;
use StandIn\Pages;

$host = Host::get();
$pages = new Pages($host);
$path = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$posted = $_SERVER['REQUEST_METHOD'] === 'POST';
$id = (int) ($_GET['id'] ?? 0);
if (strpos($path, '/admin/') === 0) {
    $_SESSION = ['adminid' => 1];
}

try {
    if ($path === '/ready') {
        echo 'ready';
    } elseif ($path === '/rows' && $posted) {
        $asked = json_decode((string) file_get_contents('php://input'), true);
        foreach ($asked['sql'] ?? [] as [$sql, $values]) {
            $host->store->run($sql, $values);
        }
        echo json_encode(['id' => isset($asked['table']) ? $host->store->add($asked['table'], $asked['values']) : 0]);
    } elseif ($path === '/state') {
        $tables = array_merge(array_keys(StandIn\Store::TABLES), $_GET['more'] ?? []);
        echo json_encode(array_combine($tables, array_map(fn ($one) => $host->store->rows("SELECT * FROM $one"), $tables)), JSON_INVALID_UTF8_SUBSTITUTE);
    } elseif ($path === '/favicon.ico') {
        http_response_code(204);
    } elseif ($path === '/admin/product') {
        echo $pages->product($id);
    } elseif ($path === '/admin/service' && $posted) {
        $host->save($id, $_POST);
        header("Location: /admin/service?id=$id", true, 303);
    } elseif ($path === '/admin/service') {
        echo $pages->service($id, '');
    } elseif ($path === '/admin/command' && $posted) {
        $said = $_POST['a'] === 'ChangePackage' ? $host->changePackage($id) : (isset(Host::STATUS[$_POST['a']]) ? $host->command($id, $_POST['a']) : $host->custom($id, $_POST['a']));
        echo $pages->service($id, $said === 'success' ? 'Service command successful' : "The following error occurred: $said");
    } elseif ($path === '/admin/pay' && $posted) {
        $host->store->change('tblhosting', $id, ['paid' => 1]);
        $suspended = $host->service($id)['domainstatus'] === 'Suspended';
        echo $suspended ? $host->command($id, 'UnsuspendAccount', true) : 'success';
    } elseif ($path === '/admin/upgrade' && $posted) {
        $_SESSION = []; // paid by the client
        echo $host->upgrade($id, isset($_POST['product']) ? ['packageid' => (int) $_POST['product']] : ['configoptions' => json_encode($_POST['options'])]);
    } elseif ($path === '/admin/addon' && $posted) {
        echo $host->ofAddon($id, $_POST['a']);
    } elseif ($path === '/admin/renew' && $posted) {
        echo $host->modules->call($host->service($id)['servertype'], 'Renew', $host->modules->params($id));
    } elseif ($path === '/admin/server') {
        echo $pages->server($id, $posted ? $host->serverCall($id, 'TestConnection') : null);
    } elseif ($path === '/admin/server/call' && $posted) {
        echo json_encode($host->serverCall($id, $_POST['function']));
    } elseif ($path === '/admin/server/metrics' && $posted) {
        $metrics = $host->serverCall($id, 'MetricProvider');
        echo json_encode(['metrics' => $metrics->metrics(), 'usage' => $metrics->usage(), 'tenant' => $metrics->tenantUsage($_POST['tenant'] ?? '')]);
    } elseif ($path === '/admin/move' && $posted) {
        $host->store->change('tblhosting', $id, ['userid' => (int) $_POST['client']]);
    } elseif ($path === '/admin/delete' && $posted) {
        $client = $host->service($id)['userid'];
        $host->store->run('DELETE FROM tblcustomfieldsvalues WHERE relid = ?', [$id]);
        $host->store->run('DELETE FROM tblhosting WHERE id = ?', [$id]);
        $host->runHooks('ServiceDelete', ['serviceid' => $id, 'userid' => $client]);
    } elseif ($path === '/admin/queue' && $posted) {
        echo $host->retry($id);
    } elseif ($path === '/clientarea.php') {
        $client = (int) ($_COOKIE['client'] ?? 0);
        $id = (int) ($_REQUEST['id'] ?? 0);
        $message = ($_REQUEST['modop'] ?? '') === 'custom' ? $host->customOfClient($id, $client, (string) ($_REQUEST['a'] ?? '')) : '';
        $shown = is_array($message) ? $pages->custom($id, $client, $message) : ($message === null ? null : $pages->details($id, $client, $message));
        if ($shown !== null && isset($_GET['dosinglesignon'])) {
            $answer = $host->modules->call($host->service($id)['servertype'], 'ServiceSingleSignOn', $host->modules->params($id));
            empty($answer['success']) ? print($answer['errorMsg']) : header("Location: {$answer['redirectTo']}", true, 302);
        } else {
            http_response_code($shown === null ? 404 : 200);
            echo $shown ?? 'Not found';
        }
    } else {
        http_response_code(404);
    }
} catch (OutOfBoundsException $absent) {
    http_response_code(404);
} catch (Throwable $fault) {
    http_response_code(500);
    echo $fault;
}
