<?php

/**
 * `php whmcs.php SERVICE TURNS`: what the module itself takes beside waiting for the panel, in milliseconds, as JSON. The
 * waiting is taken out by timing curl and sleep where the module calls them.
 */

namespace Bench {
    class Waited
    {
        /** @var float seconds */
        public static $for = 0.0;
        /** @var int */
        public static $calls = 0;

        public static function while(callable $run)
        {
            $begin = microtime(true);
            $answer = $run();
            self::$for += microtime(true) - $begin;
            return $answer;
        }
    }
}

namespace WHMCS\Module\Server\Doublehop\Client {
    use Bench\Waited;

    function curl_exec($line)
    {
        Waited::$calls++;
        return Waited::while(static fn () => \curl_exec($line));
    }

    function curl_multi_exec($all, &$still)
    {
        $begin = microtime(true);
        $answer = \curl_multi_exec($all, $still);
        Waited::$for += microtime(true) - $begin;
        return $answer;
    }

    function curl_multi_select($all, $seconds)
    {
        return Waited::while(static fn () => \curl_multi_select($all, $seconds));
    }
}

namespace WHMCS\Module\Server\Doublehop {
    use Bench\Waited;

    function usleep($microseconds)
    {
        Waited::while(static fn () => \usleep($microseconds));
    }
}

namespace {
    use Bench\Waited;

    require dirname(__DIR__) . '/whmcs/host/boot.php';

    $service = (int) $argv[1];
    $host = StandIn\Host::get();
    $median = static function (array $values): float {
        sort($values);
        return $values[intdiv(count($values), 2)];
    };
    $deeds = [
        'admin tab' => ['AdminServicesTabFields'],
        'client area' => ['ClientArea'],
        'suspend' => ['SuspendAccount', 'UnsuspendAccount'],
    ];
    $found = [];
    foreach ($deeds as $name => $functions) {
        $own = $waited = [];
        for ($turn = -2; $turn < (int) $argv[2]; $turn++) {
            foreach ($functions as $place => $function) {
                $params = $host->modules->params($service);
                Waited::$for = 0.0;
                $begin = microtime(true);
                $host->modules->call('doublehop', $function, $params);
                $took = microtime(true) - $begin;
                if ($turn >= 0 && $place === 0) {
                    $own[] = 1000 * ($took - Waited::$for);
                    $waited[] = 1000 * Waited::$for;
                }
            }
        }
        $found[$name] = ['own' => $median($own), 'best' => min($own), 'worst' => max($own), 'waited' => $median($waited)];
    }
    echo json_encode($found), "\n";
}
