<?php

namespace Doublehop\Billing;

/**
 * Something that did not work out. The message is for staff; nothing of it is ever shown to a client.
 *
 * `kind` says what is known, and so what may be done next.
 */
class Problem extends \RuntimeException
{
    /** Certain: nothing was sent, or nothing was done with it. */
    public const NOT_SENT = 'not_sent';
    /** It was sent, and nobody knows whether it was carried out. Of a question: there is no answer. */
    public const UNKNOWN = 'unknown';
    /** The login is not accepted. Nothing was done. */
    public const LOGIN = 'login';
    /** The other side said no. Nothing was done. */
    public const REFUSED = 'refused';
    /** Refused, because the other side has no such command. */
    public const NO_COMMAND = 'no_command';
    /** Refused, because this installation is not the one that the login belongs to. */
    public const COPY = 'copy';

    /** @var string */
    public $kind;
    /** @var string stable, for programs; empty where the other side gave none */
    public $told;
    /** @var string what people quote; empty where the other side gave none */
    public $reference;

    public function __construct(string $kind, string $message, string $told = '', string $reference = '')
    {
        parent::__construct($message);
        $this->kind = $kind;
        $this->told = $told;
        $this->reference = $reference;
    }
}
