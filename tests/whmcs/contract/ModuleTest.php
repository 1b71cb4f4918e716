<?php

/** The checks as tests of PHPUnit. MODULES is the folder that the archive was unpacked into. */

require_once __DIR__ . '/checks.php';

class ModuleTest extends PHPUnit\Framework\TestCase
{
    /** @dataProvider checks */
    public function testItIsWhatWhmcsExpects(callable $check): void
    {
        $this->assertSame('', $check());
    }

    public static function checks(): array
    {
        return array_map(static function ($check) {
            return [$check];
        }, Contract\checks((string) getenv('MODULES')));
    }
}
