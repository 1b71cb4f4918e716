<?php

namespace Doublehop\Billing;

/** The body of one answer, as far as it has come and is read. */
class Received
{
    /** @var string */
    public $body = '';
    /** @var bool */
    public $tooMuch = false;

    /** @return int octets taken; 0 ends the transfer */
    public function take(string $piece): int
    {
        if (strlen($this->body) + strlen($piece) > Http::MOST_OCTETS) {
            $this->tooMuch = true;
            return 0;
        }
        $this->body .= $piece;
        return strlen($piece);
    }
}
