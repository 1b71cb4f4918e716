<?php

namespace WHMCS\Module\Server\Doublehop;

use Doublehop\Billing\Problem;

/** Makes the panel's service for a service of WHMCS, and the client it is for. Asked twice, it is there once. */
class Ordering
{
    /** @var array<string, mixed> */
    private $params;
    /** @var Panel */
    private $panel;
    /** @var Asking */
    private $asking;

    /** @param array<string, mixed> $params */
    public function __construct(array $params, Panel $panel, Asking $asking)
    {
        $this->params = $params;
        $this->panel = $panel;
        $this->asking = $asking;
    }

    /**
     * @param ?int $server that is attached at once
     * @return array<string, mixed> the service, new or as it was
     */
    public function ordered(?int $server = null): array
    {
        $product = Settings::product($this->params);
        (new Leaving($this->panel->store))->refuse($this->panel->serviceId);
        $service = $this->panel->service() ?? $this->takenOver();
        if ($service !== null) {
            if (!$this->panel->isOfTheClient($service)) {
                $text = "Service {$service['number']} is of another client in the panel. Nothing was sent. End it there, and place a "
                    . 'new order for this client.';
                throw new Problem(Problem::NOT_SENT, $text);
            }
            if ($service['status'] !== 'terminated') {
                return $service;
            }
            $path = '/services/' . (int) $service['id'] . '/restore';
            $again = ['reason' => Asking::by('Ordered again in the billing system')];
            return $this->panel->known($this->asking->once('POST', $path, 'restore', $again));
        }
        $client = $this->client();
        $body = [
            'product_id' => $product,
            'client_id' => $client,
            'billing_reference' => (string) $this->panel->serviceId,
            'reason' => Asking::by('Ordered in the billing system'),
        ];
        $hostname = strtolower(Settings::text($this->params, 'domain'));
        if (preg_match('/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/', $hostname)) {
            $body['hostname'] = $hostname;
        }
        if ($server !== null) {
            $body['server_id'] = $server;
        }
        $made = $this->panel->known($this->asking->once('POST', '/services', 'create', $body));
        $this->panel->store->write($this->panel->serviceId, [
            'userid' => (int) ($this->params['userid'] ?? 0),
            'client' => (int) $made['client_id'],
        ]);
        return $made;
    }

    /**
     * A service that WHMCS's server sync brought in is known there by its number only. Here it becomes that of this WHMCS, where
     * it is nobody else's: otherwise a second machine would be ordered.
     *
     * @return ?array<string, mixed> null where no number stands in the field
     */
    public function takenOver(): ?array
    {
        $number = $this->panel->number();
        if ($number === '') {
            return null;
        }
        $field = 'The field "' . Settings::NUMBER_FIELD . "\" says $number, and ";
        $found = $this->panel->numbered($number);
        if ($found === null) {
            $text = "{$field}the panel has no such service. Nothing was sent. Put the field right, or empty it.";
            throw new Problem(Problem::NOT_SENT, $text);
        }
        if ((string) ($found['billing_reference'] ?? '') !== '') {
            $text = "{$field}that one is service {$found['billing_reference']} of a billing system already. Nothing was sent.";
            throw new Problem(Problem::NOT_SENT, $text);
        }
        $this->adopt((int) $found['client_id'], $field);
        $take = [
            'billing_reference' => (string) $this->panel->serviceId,
            'reason' => Asking::by('Taken over by the billing system'),
        ];
        return $this->panel->known($this->asking->once('PATCH', '/services/' . (int) $found['id'], 'take', $take));
    }

    /** The panel's client is that of WHMCS from now on: it was already, or it is nobody's and has the same e-mail address. */
    private function adopt(int $client, string $field): void
    {
        $there = $this->panel->rest()->get("/clients/$client");
        $user = (string) (int) ($this->params['userid'] ?? 0);
        $reference = (string) ($there['billing_reference'] ?? '');
        if ($reference === $user) {
            return;
        }
        $email = self::folded(Settings::text((array) ($this->params['clientsdetails'] ?? []), 'email'));
        if ($reference !== '' || $user === '0' || $email === '' || $email !== self::folded($there['email'] ?? '')) {
            $text = "{$field}that service is of another client in the panel: the e-mail addresses differ. Nothing was sent. Put it right "
                . 'there or here.';
            throw new Problem(Problem::NOT_SENT, $text);
        }
        $this->asking->once('PATCH', "/clients/$client", 'adopt', ['billing_reference' => $user]);
    }

    /** @param mixed $email */
    private static function folded($email): string
    {
        return mb_strtolower(trim(is_string($email) ? $email : ''));
    }

    private function client(): int
    {
        $user = (int) ($this->params['userid'] ?? 0);
        $details = (array) ($this->params['clientsdetails'] ?? []);
        $company = Settings::text($details, 'companyname');
        $person = trim(Settings::text($details, 'firstname') . ' ' . Settings::text($details, 'lastname'));
        if ($user <= 0) {
            throw new Problem(Problem::NOT_SENT, 'The service has no client. Nothing was sent.');
        }
        $body = [
            'name' => mb_substr($company ?: $person ?: "Client $user", 0, 120),
            'email' => mb_substr(Settings::text($details, 'email'), 0, 254),
            'billing_reference' => (string) $user,
        ];
        return (int) ($this->asking->once('POST', '/clients', 'client', $body)['id'] ?? 0);
    }
}
