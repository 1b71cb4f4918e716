<?php

namespace WHMCS\Module\Server\Doublehop;

/** Bars of in and out by day, as figures that a template draws. No script, no picture from elsewhere. */
class Chart
{
    public const WIDTH = 620;
    public const HEIGHT = 140;
    private const GAP = 2;

    /**
     * @param array<int, array{date: string, in: ?float, out: ?float}> $days oldest first; null is not known
     * @return array{width: int, height: int, top: string, bars: array<int, array<string, mixed>>}
     */
    public static function of(array $days): array
    {
        $most = 0.0;
        foreach ($days as $day) {
            $most = max($most, (float) $day['in'], (float) $day['out']);
        }
        $bars = [];
        $wide = $days ? self::WIDTH / count($days) : 0;
        foreach (array_values($days) as $place => $day) {
            foreach (['in', 'out'] as $side => $name) {
                $value = $day[$name];
                $high = $value === null || $most <= 0 ? 0.0 : $value / $most * (self::HEIGHT - 2);
                $bars[] = [
                    'kind' => $value === null ? 'gap' : $name,
                    'x' => round($place * $wide + $side * ($wide - self::GAP) / 2, 1),
                    'y' => round(self::HEIGHT - max($high, $value === null ? 3.0 : 0.0), 1),
                    'width' => round(max(1.0, ($wide - self::GAP) / 2), 1),
                    'height' => round(max($high, $value === null ? 3.0 : 0.0), 1),
                    'told' => $day['date'] . ", $name: " . ($value === null ? 'not known' : Figures::size($value)),
                ];
            }
        }
        return ['width' => self::WIDTH, 'height' => self::HEIGHT, 'top' => Figures::size($most), 'bars' => $bars];
    }
}
