<?php

// Copy this file to address.php beside it, and put the address of your provider's LEAP API here. It is a file, and no sixth
// field, so that the module asks for the same five things as ever; an upgrade of the module leaves address.php alone.
return 'https://leap.provider.example/leap/api.php';
