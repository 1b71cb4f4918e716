<?php

/** As much of WHMCS's usage billing as its documentation shows. */

namespace WHMCS\UsageBilling\Contracts\Metrics {
    interface UnitInterface
    {
    }

    interface UsageInterface
    {
        public function value();
    }

    interface MetricInterface
    {
        const TYPE_SNAPSHOT = 'snapshot';
        const TYPE_PERIOD_DAY = 'day';
        const TYPE_PERIOD_MONTH = 'month';

        public function systemName();

        public function withUsage(UsageInterface $usage);
    }

    interface ProviderInterface
    {
        public function metrics();

        public function usage();

        public function tenantUsage($tenant);
    }
}

namespace WHMCS\UsageBilling\Metrics\Units {
    use WHMCS\UsageBilling\Contracts\Metrics\UnitInterface;

    class FloatingPoint implements UnitInterface
    {
        public $name;

        public function __construct($name = '')
        {
            $this->name = $name;
        }
    }

    class GigaBytes extends FloatingPoint
    {
        public function __construct($name = 'GB')
        {
            parent::__construct($name);
        }
    }
}

namespace WHMCS\UsageBilling\Metrics {
    use WHMCS\UsageBilling\Contracts\Metrics\MetricInterface;
    use WHMCS\UsageBilling\Contracts\Metrics\UnitInterface;
    use WHMCS\UsageBilling\Contracts\Metrics\UsageInterface;

    class Usage implements UsageInterface, \JsonSerializable
    {
        public function __construct(private $value)
        {
        }

        public function value()
        {
            return $this->value;
        }

        public function jsonSerialize(): mixed
        {
            return $this->value;
        }
    }

    class Metric implements MetricInterface, \JsonSerializable
    {
        private $usage;

        public function __construct(private $systemName, private $displayName, private $type, private UnitInterface $units)
        {
        }

        public function systemName()
        {
            return $this->systemName;
        }

        public function withUsage(UsageInterface $usage)
        {
            $with = clone $this;
            $with->usage = $usage;
            return $with;
        }

        public function jsonSerialize(): mixed
        {
            return ['name' => $this->systemName, 'label' => $this->displayName, 'type' => $this->type, 'unit' => $this->units->name, 'usage' => $this->usage];
        }
    }
}
