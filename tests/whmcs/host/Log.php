<?php

namespace StandIn;

/** Module log and activity log. Masks values, as the documentation says, and nothing by name: that is the module's business. */
class Log
{
    public function __construct(private Store $store)
    {
    }

    public function moduleCall($module, $action, $request, $response, $processed, $replaceVars): void
    {
        $texts = array_map(fn ($one) => $this->masked($one, (array) $replaceVars), [$request, $response, $processed]);
        $this->store->add('tblmodulelog', ['module' => $module, 'action' => $action, 'request' => $texts[0], 'response' => $texts[1], 'arrdata' => $texts[2]]);
    }

    public function activity($text, $clientId): void
    {
        $this->store->add('tblactivitylog', ['description' => $text, 'userid' => (int) $clientId]);
    }

    private function masked($what, array $values): string
    {
        $text = is_string($what) ? $what : print_r($what, true);
        foreach ($values as $value) {
            if (is_string($value) && $value !== '') {
                // The length stays, as it does in WHMCS.
                $text = str_replace($value, str_repeat('*', strlen($value)), $text);
            }
        }
        return $text;
    }
}
