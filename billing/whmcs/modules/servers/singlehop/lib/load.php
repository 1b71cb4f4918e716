<?php

foreach (['Problem', 'Deadline', 'Masking', 'Received', 'Http', 'Leap'] as $singlehopPart) {
    require_once __DIR__ . "/client/$singlehopPart.php";
}
foreach (['Settings', 'Bindings', 'Fields', 'Guarded', 'Commands', 'Attaching', 'Tab', 'ClientPage'] as $singlehopPart) {
    require_once __DIR__ . "/$singlehopPart.php";
}
unset($singlehopPart);
