<?php

namespace Doublehop\Billing;

/** So long may everything together take, however many calls it needs. */
class Deadline
{
    /** @var float */
    private $until;

    public function __construct(float $seconds)
    {
        $this->until = microtime(true) + $seconds;
    }

    /** Seconds that are left; never less than zero. */
    public function left(): float
    {
        return max(0.0, $this->until - microtime(true));
    }
}
