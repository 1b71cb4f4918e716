<?php

namespace WHMCS\Module\Server\Doublehop;

/** A server record of WHMCS where a function is not given one: in hooks, and in the loader of older versions. */
class ServerRecord
{
    /**
     * @param int $id 0: the default one of this module, else its first that is not disabled
     * @return array<string, mixed> as in a module's parameters; empty where there is none
     */
    public static function params(int $id = 0): array
    {
        $sql = 'SELECT id, hostname, ipaddress, username, password, accesshash, secure, port FROM tblservers WHERE '
            . ($id > 0 ? 'id = ? AND type = ?' : 'disabled = 0 AND type = ? ORDER BY active DESC, id LIMIT 1');
        $row = (new Store())->row($sql, $id > 0 ? [$id, Settings::MODULE] : [Settings::MODULE]);
        if ($row === null) {
            return [];
        }
        $opened = localAPI('DecryptPassword', ['password2' => (string) $row['password']]);
        return [
            'server' => true,
            'serverid' => (int) $row['id'],
            'serverhostname' => (string) $row['hostname'],
            'serverip' => (string) $row['ipaddress'],
            'serverusername' => (string) $row['username'],
            'serverpassword' => ($opened['result'] ?? '') === 'success' ? (string) $opened['password'] : '',
            'serveraccesshash' => (string) $row['accesshash'],
            'serversecure' => (string) $row['secure'] === 'on',
            'serverport' => (string) $row['port'],
        ];
    }
}
