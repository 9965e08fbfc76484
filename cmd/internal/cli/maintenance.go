package cli

import "context"

var maintenanceCommand = &Command{
	Name: "maintenance", Short: "show whether maintenance mode is on", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		a, err := cl.App(ctx, name)
		if err != nil {
			return err
		}
		if done, err := c.json(map[string]bool{"maintenance": a.Maintenance}); done {
			return err
		}
		if a.Maintenance {
			c.print("on\n")
		} else {
			c.print("off\n")
		}
		return nil
	},
}

var maintenanceOnCommand = &Command{
	Name: "maintenance:on", Short: "answer all requests with a maintenance page", App: true,
	Run: func(ctx context.Context, c *Call) error { return c.maintenance(ctx, "Enabling", true) },
}

var maintenanceOffCommand = &Command{
	Name: "maintenance:off", Short: "serve requests again", App: true,
	Run: func(ctx context.Context, c *Call) error { return c.maintenance(ctx, "Disabling", false) },
}

func (c *Call) maintenance(ctx context.Context, verb string, on bool) error {
	name, cl, err := c.appClient(ctx)
	if err != nil {
		return err
	}
	if _, err := cl.SetMaintenance(ctx, name, on); err != nil {
		return err
	}
	c.say("%s maintenance mode for %s... done\n", verb, name)
	return nil
}
